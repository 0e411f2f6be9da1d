//! Lists: columns that give way where the screen is narrow, the last one taking what is left, and a chosen row.

use super::theme;
use pgtend_model::units::{harmless, one_line};
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// A column.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Its heading.
    pub title: &'static str,
    /// Its width; the last column takes what is left.
    pub width: u16,
    /// Whether it is set to the right, as numbers are.
    pub right: bool,
    /// Screens narrower than this do without it.
    pub from: u16,
}

/// A column of text.
pub const fn left(title: &'static str, width: u16, from: u16) -> Column {
    Column { title, width, right: false, from }
}

/// A column of numbers.
pub const fn right(title: &'static str, width: u16, from: u16) -> Column {
    Column { title, width, right: true, from }
}

/// A row: one text a column.
pub type Row = Vec<Line<'static>>;

/// Text of any origin in a cell.
pub fn cell(text: impl AsRef<str>, style: Style) -> Line<'static> {
    Line::styled(harmless(text.as_ref()), style)
}

/// The same without emphasis, or nothing.
pub fn plain(text: Option<impl AsRef<str>>) -> Line<'static> {
    text.map(|text| cell(text, Style::new())).unwrap_or_default()
}

/// A figure, or a dash where it is not known.
pub fn figure(text: Option<String>, style: Style) -> Line<'static> {
    text.map_or_else(|| cell("–", theme::dim()), |text| cell(text, style))
}

/// A statement on one line.
pub fn statement(text: Option<&str>) -> Line<'static> {
    Line::from(one_line(text.unwrap_or_default()))
}

/// Draws the list with one row chosen, as many rows around it as there is room for.
pub fn draw(frame: &mut Frame<'_>, area: Rect, columns: &[Column], rows: Vec<Row>, chosen: Option<usize>) {
    let shown: Vec<(usize, &Column)> = columns.iter().enumerate().filter(|(_, column)| area.width >= column.from).collect();
    let heading = columns.iter().map(|column| Line::styled(column.title, theme::strong())).collect();
    line(frame, Rect { height: 1, ..area }, &shown, &heading);
    frame.buffer_mut().set_style(Rect { height: 1, ..area }, theme::strong());
    let height = usize::from(area.height.saturating_sub(1));
    let chosen_row = chosen.unwrap_or(0);
    let first = chosen_row.saturating_sub(height / 2).min(rows.len().saturating_sub(height));
    for (place, row) in rows.iter().skip(first).take(height).enumerate() {
        let below = u16::try_from(place + 1).unwrap_or(u16::MAX);
        let at = Rect { y: area.y.saturating_add(below), height: 1, ..area };
        line(frame, at, &shown, row);
        if chosen == Some(first + place) {
            mark(frame.buffer_mut(), at);
        }
    }
}

/// Shows that a row is the chosen one. Pieces of bars stay as they are: a full block in reverse is a blank.
fn mark(buffer: &mut Buffer, row: Rect) {
    for at in row.positions() {
        if let Some(cell) = buffer.cell_mut(at).filter(|cell| !matches!(cell.symbol(), "█" | "▓" | "▒" | "░")) {
            cell.set_style(theme::reversed());
        }
    }
}

fn line(frame: &mut Frame<'_>, area: Rect, shown: &[(usize, &Column)], row: &Row) {
    let mut x = area.x;
    for (place, (number, column)) in shown.iter().enumerate() {
        let left = area.right().saturating_sub(x);
        let is_last = place + 1 == shown.len();
        let width = if is_last { left } else { column.width.min(left) };
        if let Some(text) = row.get(*number) {
            let text = cut(text, width);
            let indent = if column.right { width.saturating_sub(u16::try_from(text.width()).unwrap_or(width)) } else { 0 };
            frame.buffer_mut().set_line(x + indent, area.y, &text, width - indent);
        }
        x = x.saturating_add(width + 1).min(area.right());
    }
}

/// What does not fit ends with an ellipsis.
fn cut(text: &Line<'static>, width: u16) -> Line<'static> {
    let width = usize::from(width);
    if text.width() <= width || width == 0 {
        return text.clone();
    }
    let mut left = width - 1;
    let mut spans = Vec::new();
    for span in &text.spans {
        let mut kept = String::new();
        for c in span.content.chars() {
            let wide = Span::raw(c.to_string()).width();
            if wide > left {
                left = 0;
                break;
            }
            left -= wide;
            kept.push(c);
        }
        spans.push(Span::styled(kept, span.style));
        if left == 0 {
            break;
        }
    }
    spans.push(Span::raw("…"));
    Line::from(spans).style(text.style)
}

/// Something to read where there are no rows.
pub fn nothing(frame: &mut Frame<'_>, area: Rect, text: &str) {
    let at = Rect { y: area.y + area.height.min(2) / 2, height: 1, ..area };
    frame.render_widget(Line::styled(format!("  {}", harmless(text)), theme::dim()), at);
}
