//! A terminal's screen as a picture.

use std::fmt::Write as _;
use vt100::{Cell, Color, Screen};

/// Width and height of a cell, in pixels.
const CELL: (f64, f64) = (8.4, 18.0);
const PAPER: &str = "#16181d";
const INK: &str = "#d5d8de";
/// The sixteen colours that every terminal has, in the taste of this picture.
const PALETTE: [&str; 16] = [
    "#2b2f38", "#e5646b", "#7fbf6a", "#d9b44a", "#6aa3e8", "#b98ae0", "#58b8b8", "#b6bac2", "#6d7380", "#ff8a8f", "#a5dd92", "#f2d27a",
    "#93c0f7", "#d3adf2", "#85d8d8", "#f3f4f6",
];

/// How a run of cells looks.
#[derive(Clone, PartialEq)]
struct Look {
    ink: String,
    paper: String,
    is_bold: bool,
    is_dim: bool,
}

/// The screen as SVG.
pub fn picture(screen: &Screen) -> String {
    let (rows, columns) = screen.size();
    let (width, height) = (f64::from(columns) * CELL.0 + 16.0, f64::from(rows) * CELL.1 + 16.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" font-size=\"14\" \
         font-family=\"'DejaVu Sans Mono','Liberation Mono',Menlo,Consolas,monospace\">\n\
         <rect width=\"{width:.0}\" height=\"{height:.0}\" rx=\"6\" fill=\"{PAPER}\"/>\n"
    );
    for row in 0..rows {
        line(&mut svg, screen, row, columns);
    }
    svg + "</svg>\n"
}

/// One line, a piece for each run of cells that look the same.
fn line(svg: &mut String, screen: &Screen, row: u16, columns: u16) {
    let mut column = 0;
    while column < columns {
        let from = column;
        let style = look(screen.cell(row, from));
        let mut text = String::new();
        while column < columns && look(screen.cell(row, column)) == style {
            let content = screen.cell(row, column).map(Cell::contents).unwrap_or_default();
            text.push_str(if content.is_empty() { " " } else { content });
            column += 1;
        }
        piece(svg, &style, &text, (from, row), column - from);
    }
}

fn piece(svg: &mut String, look: &Look, text: &str, (column, row): (u16, u16), cells: u16) {
    let (x, y, width) = (8.0 + f64::from(column) * CELL.0, 8.0 + f64::from(row) * CELL.1, f64::from(cells) * CELL.0);
    if look.paper != PAPER {
        writeln!(svg, "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{}\" fill=\"{}\"/>", CELL.1, look.paper).unwrap();
    }
    if text.trim().is_empty() {
        return;
    }
    let weight = if look.is_bold { " font-weight=\"bold\"" } else { "" };
    let opacity = if look.is_dim { " opacity=\"0.6\"" } else { "" };
    let text = text.trim_end().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    // Every glyph has its own cell, whatever the width of the font that is there.
    let length = f64::from(u16::try_from(text_cells(&text)).unwrap_or(cells)) * CELL.0;
    writeln!(
        svg,
        "<text xml:space=\"preserve\" x=\"{x:.1}\" y=\"{:.1}\" textLength=\"{length:.1}\" lengthAdjust=\"spacingAndGlyphs\" fill=\"{}\"{weight}{opacity}>{text}</text>",
        y + 13.5,
        look.ink
    )
    .unwrap();
}

/// Cells that an escaped text takes.
fn text_cells(text: &str) -> usize {
    text.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">").chars().count()
}

fn look(cell: Option<&Cell>) -> Look {
    let Some(cell) = cell else { return Look { ink: INK.to_owned(), paper: PAPER.to_owned(), is_bold: false, is_dim: false } };
    let (ink, paper) = (colour(cell.fgcolor(), INK), colour(cell.bgcolor(), PAPER));
    let (ink, paper) = if cell.inverse() { (paper, ink) } else { (ink, paper) };
    Look { ink, paper, is_bold: cell.bold(), is_dim: cell.dim() }
}

fn colour(colour: Color, usual: &str) -> String {
    match colour {
        Color::Default => usual.to_owned(),
        Color::Idx(index @ ..16) => PALETTE[usize::from(index)].to_owned(),
        Color::Idx(grey @ 232..) => format!("#{0:02x}{0:02x}{0:02x}", 8 + 10 * u32::from(grey - 232)),
        Color::Idx(index) => {
            let level = |part: u8| if part == 0 { 0 } else { 55 + 40 * u32::from(part) };
            let cube = index - 16;
            format!("#{:02x}{:02x}{:02x}", level(cube / 36), level(cube / 6 % 6), level(cube % 6))
        }
        Color::Rgb(red, green, blue) => format!("#{red:02x}{green:02x}{blue:02x}"),
    }
}
