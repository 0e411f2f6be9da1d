//! `pgtend awr trends`: how a figure went over days, and when it reaches its limit.

use crate::cli::Global;
use crate::cli::output::{self, Cell, Table, Tabular, Tone};
use crate::client::Client;
use clap::Args;
use pgtend_model::awr::forecast::Forecast;
use pgtend_model::awr::measure::Unit;
use pgtend_model::awr::trend::{Params, Trend};
use pgtend_model::error::Result;

/// Shows how a figure went over days, and when it reaches its limit
///
/// Disk, transaction ids, sequences and connections have limits; a forecast says when they are reached, as far as the data allows.
#[derive(Debug, Args)]
pub(super) struct Trends {
    /// Which figure: queries_per_second, transactions_per_second, disk_usage_percent, xid_age, …; without one they are all named
    #[arg(default_value = "", hide_default_value = true)]
    metric: String,
    /// How many days back
    #[arg(long, default_value_t = 7.0)]
    days: f64,
}

impl Trends {
    pub(super) async fn run(&self, client: &Client, server: Option<&str>, global: &Global) -> Result<()> {
        let params = Params { metric: self.metric.clone(), days: Some(self.days) };
        let trend: Trend = client.retrospect(server, &params).await?;
        if let Some(unknown) = &trend.unknown {
            output::notice(&unknown.detail);
        }
        output::print(&Shown(trend), global.format)
    }
}

/// A trend on paper.
#[derive(Debug, serde::Serialize)]
#[serde(transparent)]
struct Shown(Trend);

impl Shown {
    fn value(&self, value: f64) -> String {
        match self.0.unit {
            // Ratios and rates are no whole numbers.
            Unit::Count => Unit::Count.total(value).text,
            unit => unit.rate(value).text,
        }
    }

    fn points(&self) -> Table {
        let mut table = Table::new(&format!("{}: {}", self.0.metric, self.0.about), &["at", ">value", ">snapshot", ""]).or("no values");
        let most = self.0.statistics.as_ref().map_or(0.0, |all| all.max);
        for point in &self.0.data_points {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few characters")]
            let length = if most > 0.0 { (point.value / most * 30.0).round().max(0.0) as usize } else { 0 };
            let id = point.snapshot_id.map_or_else(String::new, |id| id.to_string());
            table.push([format!("{:.0}", point.timestamp), self.value(point.value), id, "▆".repeat(length)]);
        }
        table
    }

    fn statistics(&self) -> Option<Table> {
        let all = self.0.statistics.as_ref()?;
        let mut table = Table::new("Over the whole time", &[">min", ">max", ">avg", ">stddev"]);
        table.push([all.min, all.max, all.avg, all.stddev].map(|value| self.value(value)));
        Some(table)
    }

    fn forecast(&self, forecast: &Forecast) -> Table {
        let mut table = Table::new("Forecast", &["", ""]);
        let mut push = |name: &str, text: String, tone: Tone| table.push([Cell::from(name), Cell::new(text, tone)]);
        push("limit", format!("{}: {}", self.value(forecast.limit), forecast.meaning), Tone::Plain);
        if let Some(subject) = &forecast.subject {
            push("nearest to it", subject.clone(), Tone::Plain);
        }
        if let (Some(growth), Some(low), Some(high)) = (forecast.growth_per_day, forecast.growth_per_day_low, forecast.growth_per_day_high)
        {
            push("growth a day", format!("{} ({} to {})", self.value(growth), self.value(low), self.value(high)), Tone::Plain);
        }
        let at = |at: Option<jiff::Timestamp>| at.map_or_else(|| "later than can be said".to_owned(), |at| format!("{at:.0}"));
        match &forecast.unknown {
            Some(unknown) => push("reached", format!("not known: {}", unknown.detail), Tone::Dim),
            None => {
                let (early, late) = (at(forecast.reached_at_earliest), at(forecast.reached_at_latest));
                push("reached", format!("{} (between {early} and {late})", at(forecast.reached_at)), Tone::Warn);
            }
        }
        table
    }
}

impl Tabular for Shown {
    fn tables(&self) -> Vec<Table> {
        let forecast = self.0.forecast.as_ref().map(|forecast| self.forecast(forecast));
        [Some(self.points()), self.statistics(), forecast].into_iter().flatten().collect()
    }

    fn records(&self) -> Table {
        self.points()
    }
}
