//! `pgtend top`: what the server is doing, as a screen that lives or printed once.

use super::output::{self, Cell, Table, Tabular, print};
use super::{Global, filter, session_table, source, visible};
use crate::source::Source;
use crate::tui::{self, Feed, Options, Order, sort_sessions};
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use pgtend_model::document::load::{self, Load, Sort};
use pgtend_model::document::sessions::{self, Session, Sessions};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::units::{one_line, short_seconds};
use serde::Serialize;
use std::io::IsTerminal;
use std::time::Duration;

/// Shows what the server is doing: sessions, waits, statements, who blocks whom, host, databases, replication
///
/// With an agent the last minute is there at once. Straight from PostgreSQL (--connection), sampling begins with the command.
#[derive(Debug, Args)]
pub(super) struct Top {
    /// By what sessions and statements are sorted
    #[arg(long, value_enum, default_value_t = By::Time)]
    sort: By,
    /// With --once: at most so many sessions and so many statements
    #[arg(long, value_name = "NUMBER", default_value_t = 10)]
    limit: usize,
    /// Print once instead of taking over the terminal; without a terminal that is what happens anyway
    #[arg(long)]
    once: bool,
    /// Time between looks; with --once and --connection, time between samples [default: 2s, 100ms]
    #[arg(long, value_name = "DURATION", value_parser = filter::duration)]
    interval: Option<Duration>,
    /// With --once: over how long averages are taken [default: 60s from an agent, 3s with --connection]
    #[arg(long, value_name = "DURATION", value_parser = filter::duration)]
    window: Option<Duration>,
}

/// What comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    /// All time of statements; how long sessions have been doing what they do
    Time,
    /// Processor time
    Cpu,
    /// Time in reads and writes
    Io,
    /// Memory of sessions
    Memory,
    /// Time in waits
    Wait,
    /// Time in waits for locks
    Lock,
    /// Age of transactions
    Transaction,
}

impl By {
    fn statements(self) -> Sort {
        match self {
            Self::Time | Self::Memory | Self::Transaction => Sort::Time,
            Self::Cpu => Sort::Cpu,
            Self::Io => Sort::Io,
            Self::Wait => Sort::Wait,
            Self::Lock => Sort::Lock,
        }
    }

    fn sessions(self) -> Order {
        match self {
            Self::Time => Order::Time,
            Self::Cpu => Order::Cpu,
            Self::Memory => Order::Memory,
            Self::Io | Self::Wait | Self::Lock => Order::State,
            Self::Transaction => Order::Transaction,
        }
    }
}

impl Top {
    /// Whether it takes over the terminal, where a log would be in the way.
    pub(super) fn is_screen(&self) -> bool {
        !self.once && std::io::stdout().is_terminal() && std::io::stdin().is_terminal()
    }

    pub(super) async fn run(&self, global: &Global) -> Result<u8> {
        if self.is_screen() {
            return self.screen(global).await;
        }
        let shown = self.look(global).await?;
        print(&shown, global.format)?;
        Ok(0)
    }

    async fn screen(&self, global: &Global) -> Result<u8> {
        let mut source = source::open(global).await?;
        let servers: Vec<String> = match &source {
            Source::Agent { server: None, .. } => source.servers().await?.into_iter().map(|status| status.server).collect(),
            _ => Vec::new(),
        };
        let interval = self.interval.unwrap_or(Duration::from_secs(2));
        if interval < Duration::from_millis(100) {
            return Err(Error::new(Kind::Usage, "looks are at least 100ms apart"));
        }
        let server = global.server.clone().or_else(|| servers.first().filter(|_| servers.len() > 1).cloned());
        let feed = match source {
            Source::Agent { client, .. } => Feed::Agent(client),
            Source::Direct(look) => {
                let target = source::target(global)?.ok_or_else(|| Error::new(Kind::Internal, "a look without a target"))?;
                Feed::Direct { target: Box::new(target), look }
            }
        };
        let colour = output::wants_colour();
        let options = Options { servers, server, interval, sort: self.sort.statements(), order: self.sort.sessions(), colour };
        tui::run(feed, options).await?;
        Ok(0)
    }

    /// One look, sampled first where nobody did so before.
    async fn look(&self, global: &Global) -> Result<Shown> {
        if self.window.is_some_and(|window| window.is_zero()) {
            return Err(Error::new(Kind::Usage, "--window is too short for an average").hint("take some seconds: --window 10s"));
        }
        let mut source = source::open(global).await?;
        let params = |window: Duration| load::Params {
            seconds: window.as_secs_f64(),
            limit: self.limit,
            sort: self.sort.statements(),
            ..load::Params::default()
        };
        let all = sessions::Params::default();
        let (mut load, sessions): (Load, Sessions) = match &mut source {
            Source::Agent { .. } => {
                let window = self.window.unwrap_or(Duration::from_secs(60));
                (source.document(&params(window)).await?, source.document(&all).await?)
            }
            Source::Direct(look) => {
                let window = self.window.unwrap_or(Duration::from_secs(3));
                look.sample(window, self.interval.unwrap_or(Duration::from_millis(100)).max(Duration::from_millis(10))).await?;
                look.refresh(&[pgtend_model::sample::Probe::Server, pgtend_model::sample::Probe::HostCpu], Duration::ZERO).await?;
                // A sample more or less at the edge of the window does not matter: everything sampled counts.
                (look.build(&params(window + Duration::from_secs(60)))?, look.build(&all)?)
            }
        };
        self.told(&load, &sessions, &all)?;
        let mut shown = sessions.sessions;
        sort_sessions(&mut shown, self.sort.sessions());
        shown.truncate(self.limit);
        sessions.unknown.iter().for_each(|(place, why)| load.unknown.note(place, why.clone()));
        Ok(Shown { load, sessions: shown })
    }

    /// What the reader has to know about the figures.
    fn told(&self, load: &Load, sessions: &Sessions, params: &sessions::Params) -> Result<()> {
        visible::check(sessions, params)?;
        if let Some(why) = load.unknown.get("average_active_sessions").filter(|_| load.samples == 0) {
            return Err(visible::unknown("nothing is known of the load", why));
        }
        if let Some(to) = load.to {
            let age = Timestamp::now().duration_since(to).as_secs_f64();
            if age > 15.0 {
                output::notice(&format!("the newest sample is {} old: pgtend status says why", short_seconds(age)));
            }
        }
        let measured = matches!(self.sort, By::Cpu | By::Memory);
        if let Some(why) = sessions.unknown.get("sessions.usage").filter(|_| measured) {
            if self.sort == By::Memory {
                return Err(visible::unknown("the memory of sessions is not known", why));
            }
            output::notice(&format!("sorted by samples on CPU; processor time is not known: {}", why.detail));
        }
        Ok(())
    }
}

/// The load and the sessions.
#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    load: Load,
    sessions: Vec<Session>,
}

impl Tabular for Shown {
    fn tables(&self) -> Vec<Table> {
        vec![
            self.classes(),
            self.queries(),
            session_table::list(&self.sessions).titled("Sessions now").or(&visible::nothing(&self.load.unknown)),
        ]
    }

    fn records(&self) -> Table {
        self.queries()
    }
}

impl Shown {
    fn classes(&self) -> Table {
        let active = self.load.average_active_sessions.map_or_else(|| "?".to_owned(), |average| format!("{average:.2}"));
        let seconds = self.load.from.zip(self.load.to).map_or(0.0, |(from, to)| to.duration_since(from).as_secs_f64());
        let cores = self.load.cores.map(|cores| format!(", {cores} cores")).unwrap_or_default();
        let title = format!("{active} sessions active on average ({} samples over {}{cores})", self.load.samples, short_seconds(seconds));
        let mut table =
            Table::new(&title, &["wait class", ">sessions", ">share"]).or(&visible::nothing_was(&self.load.unknown, "nothing was active"));
        for class in &self.load.classes {
            table.push([class.wait_class.name().to_owned(), format!("{:.2}", class.average), format!("{:.1} %", class.percent)]);
        }
        table
    }

    fn queries(&self) -> Table {
        let columns = [">sessions", ">share", ">cpu", ">longest", "mostly", "user", "database", "query"];
        let mut table = Table::new("Statements", &columns).or(&visible::nothing_was(&self.load.unknown, "no statement ran"));
        for query in &self.load.queries {
            let mostly = query.classes.iter().max_by(|a, b| a.1.total_cmp(b.1)).map_or("", |(class, _)| class.name());
            let cells: [Cell; 8] = [
                format!("{:.2}", query.average).into(),
                format!("{:.1} %", query.percent).into(),
                query.cpu_percent.map(|percent| format!("{percent:.0}%")).unwrap_or_default().into(),
                query.longest_seconds.map(short_seconds).unwrap_or_default().into(),
                mostly.into(),
                query.user.clone().unwrap_or_default().into(),
                query.database.clone().unwrap_or_default().into(),
                one_line(&query.query).into(),
            ];
            table.rows.push(cells.into());
        }
        table
    }
}
