//! A laid out report as one HTML file: styles and charts are in it, nothing is fetched from elsewhere, and no script runs.

use super::svg;
use askama::Template;
use pgtend_model::ash::WaitClass;
use pgtend_model::awr::page::{Align, Bar, Bars, Cell, Chart, Column, Page, Part, Tone};
use pgtend_model::error::{Error, Kind, Result};
use std::collections::BTreeSet;

#[derive(Template)]
#[template(path = "awr/report.html")]
struct Html<'a> {
    page: &'a Page,
    classes: Vec<&'static str>,
    version: &'static str,
}

/// The page as HTML.
///
/// # Errors
/// `Internal` when the template fails.
pub fn html(page: &Page) -> Result<String> {
    let classes = WaitClass::ALL.iter().map(|class| class.name()).collect();
    let html = Html { page, classes, version: env!("CARGO_PKG_VERSION") };
    html.render().map_err(|error| Error::new(Kind::Internal, format!("the report cannot be made: {error}")))
}

/// Text as it may stand in an attribute or in an element.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c if c.is_control() => escaped.push('·'),
            c => escaped.push(c),
        }
    }
    escaped
}

impl Html<'_> {
    fn title(&self, cell: &Cell) -> String {
        cell.exact.as_deref().map(|exact| self.hover(exact)).unwrap_or_default()
    }

    #[expect(clippy::unused_self, reason = "templates call methods of theirs")]
    fn hover(&self, text: &str) -> String {
        format!(" title=\"{}\"", escaped(text))
    }

    #[expect(clippy::unused_self, reason = "templates call methods of theirs")]
    fn share(&self, cell: &Cell) -> String {
        cell.share.map(|share| format!(" style=\"--share:{:.1}%\"", 100.0 * share)).unwrap_or_default()
    }

    #[expect(clippy::unused_self, reason = "templates call methods of theirs")]
    fn align(&self, column: &Column) -> &'static str {
        match column.align {
            Align::Left => "l",
            Align::Right => "n",
            Align::Wide => "w",
        }
    }

    #[expect(clippy::unused_self, reason = "templates call methods of theirs")]
    fn tone(&self, cell: &Cell) -> &'static str {
        match cell.tone {
            Tone::Plain => "",
            Tone::Good => " good",
            Tone::Warn => " warn",
            Tone::Bad => " bad",
        }
    }

    /// HTML runs white space together.
    #[expect(clippy::unused_self, reason = "templates call methods of theirs")]
    fn indented(&self, cell: &Cell) -> String {
        let text = cell.text.trim_start_matches(' ');
        format!("{}{text}", "\u{a0}\u{a0}".repeat(cell.text.len() - text.len()))
    }

    #[expect(clippy::unused_self, reason = "templates call methods of theirs")]
    fn chart(&self, chart: &Chart) -> String {
        svg::chart(chart)
    }

    #[expect(clippy::unused_self, reason = "templates call methods of theirs")]
    fn course(&self, cell: &Cell) -> String {
        svg::course(&cell.course)
    }

    /// What bars are made of.
    #[expect(clippy::unused_self, reason = "templates call methods of theirs")]
    fn names(&self, bars: &Bars) -> BTreeSet<String> {
        bars.bars.iter().flat_map(|bar| &bar.parts).map(|(name, _)| name.clone()).collect()
    }

    /// The parts of a bar: name, width in per cent of the longest bar, and what to say of it.
    #[expect(clippy::unused_self, reason = "templates call methods of theirs")]
    fn widths(&self, bars: &Bars, bar: &Bar) -> Vec<(String, String, String)> {
        let longest = bars.bars.iter().map(Bar::amount).fold(f64::MIN_POSITIVE, f64::max);
        let part = |(name, amount): &(String, f64)| {
            let hover = format!("{name}: {}", Cell::seconds(*amount).text);
            (name.clone(), format!("{:.2}", 100.0 * amount / longest), hover)
        };
        bar.parts.iter().map(part).collect()
    }
}
