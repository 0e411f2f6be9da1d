//! A report as text, at most 120 characters wide, for terminals, mails and tickets.

use super::page::{Align, Bar, Bars, Cell, Chart, Page, Part, Section, Table, when};
use crate::ash::WaitClass;
use crate::units::{harmless, one_line};

/// Columns of a line.
const WIDTH: usize = 120;
/// Rows of a chart.
const CHART_ROWS: usize = 10;
/// Columns of the longest bar.
const BAR: f64 = 40.0;

/// The letter that stands for a wait class in charts.
fn letter_of(name: &str) -> char {
    let class = WaitClass::ALL.into_iter().find(|class| class.name() == name).unwrap_or(WaitClass::Other);
    match class {
        WaitClass::Cpu => 'C',
        WaitClass::UserIO => 'U',
        WaitClass::SystemIO => 'S',
        WaitClass::Commit => 'M',
        WaitClass::Application => 'A',
        WaitClass::Concurrency => 'B',
        WaitClass::Network => 'N',
        WaitClass::Scheduler => 'P',
        WaitClass::Cluster => 'R',
        WaitClass::Other => 'O',
        WaitClass::Idle => '.',
    }
}

/// The page as text.
pub fn render(page: &Page) -> String {
    let mut text = format!("{}\n{}\n{}\n", "=".repeat(WIDTH), page.title, "=".repeat(WIDTH));
    text.push_str(&wrapped(&page.subtitle, 0));
    for section in &page.sections {
        text.push_str(&one_section(section));
    }
    let mut clean: String = text.lines().map(|line| format!("{}\n", cut(line.trim_end(), WIDTH))).collect();
    clean.truncate(clean.trim_end().len());
    clean.push('\n');
    clean
}

fn one_section(section: &Section) -> String {
    let mut text = format!("\n{}\n{}\n", section.title, "-".repeat(section.title.chars().count().max(3)));
    if !section.about.is_empty() {
        text.push_str(&wrapped(&section.about, 0));
    }
    for note in &section.notes {
        text.push_str(&format!("  ! {}\n", wrapped(note, 4).trim()));
    }
    for part in &section.parts {
        text.push('\n');
        text.push_str(&match part {
            Part::Facts(facts) => of_facts(facts),
            Part::Table(table) => of_table(table),
            Part::Chart(chart) => of_chart(chart),
            Part::Bars(bars) => of_bars(bars),
            Part::Texts(listings) => {
                listings.iter().map(|listing| format!("{}\n{}\n", listing.name, wrapped(&one_line(&listing.text), 4))).collect()
            }
        });
    }
    text
}

fn of_facts(facts: &[(String, Cell)]) -> String {
    let width = facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    facts.iter().map(|(name, cell)| format!("{name:<width$}  {}\n", cut(&shown(cell), WIDTH - width - 2))).collect()
}

/// What a cell shows, without anything that steers a terminal.
fn shown(cell: &Cell) -> String {
    if !cell.course.is_empty() {
        return sparkline(&cell.course);
    }
    let indent = cell.text.len() - cell.text.trim_start_matches(' ').len();
    format!("{}{}", " ".repeat(indent), one_line(&cell.text))
}

/// How something went, in one line of blocks.
fn sparkline(course: &[Option<f64>]) -> String {
    let peak = course.iter().flatten().copied().fold(0.0, f64::max);
    let block = |height: &Option<f64>| match height {
        None => '·',
        Some(height) if peak <= 0.0 || *height <= 0.0 => ' ',
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "one of eight blocks")]
        Some(height) => ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'][((height / peak * 8.0).ceil() as usize).clamp(1, 8) - 1],
    };
    course.iter().map(block).collect()
}

fn of_table(table: &Table) -> String {
    let mut text = String::new();
    if !table.title.is_empty() {
        text.push_str(&format!("{}\n", table.title));
    }
    if table.rows.is_empty() {
        text.push_str(&format!("  ({})\n", table.empty));
        return text;
    }
    let cells: Vec<Vec<String>> = table.rows.iter().map(|row| row.iter().map(shown).collect()).collect();
    let widths = widths(table, &cells);
    let header: Vec<String> = table.columns.iter().map(|column| column.name.clone()).collect();
    text.push_str(&line(table, &widths, &header));
    text.push_str(&format!("{}\n", widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>().join(" ")));
    for row in &cells {
        let lines = if table.wraps { broken(table, &widths, row) } else { vec![row.clone()] };
        lines.iter().for_each(|row| text.push_str(&line(table, &widths, row)));
    }
    text
}

/// A row as several, in which no long text is cut.
fn broken(table: &Table, widths: &[usize], row: &[String]) -> Vec<Vec<String>> {
    let lines = |(number, cell): (usize, &String)| -> Vec<String> {
        match table.columns[number].align {
            Align::Wide => folded(cell, widths[number]),
            Align::Left | Align::Right => vec![cell.clone()],
        }
    };
    let cells: Vec<Vec<String>> = row.iter().enumerate().map(lines).collect();
    let most = cells.iter().map(Vec::len).max().unwrap_or(0);
    (0..most).map(|number| cells.iter().map(|lines| lines.get(number).cloned().unwrap_or_default()).collect()).collect()
}

/// The width of each column: what it needs; the long ones give way first, then all words.
fn widths(table: &Table, cells: &[Vec<String>]) -> Vec<usize> {
    let needed = |column: usize| cells.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let mut widths: Vec<usize> =
        table.columns.iter().enumerate().map(|(number, column)| needed(number).max(column.name.chars().count())).collect();
    for (align, least) in [(Align::Wide, 24), (Align::Left, 10), (Align::Wide, 8)] {
        loop {
            let too_much = (widths.iter().sum::<usize>() + widths.len() - 1).saturating_sub(WIDTH);
            let widest = (0..widths.len()).filter(|number| table.columns[*number].align == align).max_by_key(|number| widths[*number]);
            let Some(widest) = widest.filter(|number| too_much > 0 && widths[*number] > least) else { break };
            widths[widest] = widths[widest].saturating_sub(too_much).max(least);
        }
    }
    widths
}

fn line(table: &Table, widths: &[usize], cells: &[String]) -> String {
    let place = |((cell, width), column): ((&String, &usize), &super::page::Column)| {
        let cell = cut(cell, *width);
        match column.align {
            Align::Right => format!("{cell:>width$}"),
            Align::Left | Align::Wide => format!("{cell:<width$}"),
        }
    };
    let line: Vec<String> = cells.iter().zip(widths).zip(&table.columns).map(place).collect();
    format!("{}\n", line.join(" "))
}

fn cut(text: &str, width: usize) -> String {
    match text.char_indices().nth(width) {
        Some(_) => text.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
        None => text.to_owned(),
    }
}

/// Text over several lines, each indented.
fn wrapped(text: &str, indent: usize) -> String {
    let lines = text.lines().flat_map(|paragraph| folded(&harmless(paragraph), WIDTH - indent));
    lines.map(|line| format!("{}{line}\n", " ".repeat(indent))).collect()
}

/// Text in lines of at most this width; a word that is longer than a line is broken.
fn folded(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let mut word: Vec<char> = word.chars().collect();
        loop {
            let last = lines.len() - 1;
            let used = lines[last].chars().count();
            let space = usize::from(used > 0);
            if used + space + word.len() <= width {
                lines[last].extend([' '].iter().take(space).chain(&word));
                break;
            }
            if used == 0 {
                lines[last].extend(word.drain(..width));
            }
            lines.push(String::new());
        }
    }
    lines
}

/// Bars of letters, each as long as its amount.
fn of_bars(bars: &Bars) -> String {
    let longest = bars.bars.iter().map(Bar::amount).fold(0.0, f64::max);
    let mut table = Table::new(&bars.title, &["*", ">", ""]);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few columns")]
    let columns = |amount: f64| (amount / longest * BAR).round() as usize;
    for bar in &bars.bars {
        let letters: String = bar.parts.iter().map(|(name, amount)| letter_of(name).to_string().repeat(columns(*amount))).collect();
        table.push([bar.label.clone(), bar.shown.clone(), letters.into()]);
    }
    of_table(&table)
}

/// A chart of letters: each stack is a column, its letters say what it is made of.
fn of_chart(chart: &Chart) -> String {
    let top = chart.peak().max(chart.line.as_ref().map_or(0.0, |(_, height)| *height));
    if chart.at.is_empty() || top <= 0.0 {
        return format!("{}\n  (no session was active)\n", chart.title);
    }
    let mut text = format!("{}\n", chart.title);
    for row in (0..CHART_ROWS).rev() {
        #[expect(clippy::cast_precision_loss, reason = "one of ten rows")]
        let (from, middle) = (top * row as f64 / CHART_ROWS as f64, top * (row as f64 + 0.5) / CHART_ROWS as f64);
        let is_line = chart.line.as_ref().is_some_and(|(_, height)| *height > from && *height <= from + top / CHART_ROWS as f64);
        let letters: String = (0..chart.at.len()).map(|step| letter(chart, step, middle, is_line)).collect();
        #[expect(clippy::cast_precision_loss, reason = "one of ten rows")]
        let height = top * (row as f64 + 1.0) / CHART_ROWS as f64;
        text.push_str(&format!("{height:>8.2} |{letters}\n"));
    }
    text.push_str(&format!("{:>8} +{}\n", "0", "-".repeat(chart.at.len())));
    if let (Some(first), Some(last)) = (chart.at.first(), chart.at.last()) {
        let (first, last) = (when(*first), last.strftime("%H:%M:%S").to_string());
        let gap = chart.at.len().saturating_sub(last.len() + 1).max(first.len() + 1);
        text.push_str(&format!("{:10}{first:<gap$}{last}\n", ""));
    }
    let legend: Vec<String> = chart.series.iter().map(|(name, _)| format!("{} {name}", letter_of(name))).collect();
    let line = chart.line.as_ref().map(|(name, height)| format!(", = {name} ({height})")).unwrap_or_default();
    text.push_str(&format!("          {}{line}, ? not sampled\n", legend.join(", ")));
    text
}

/// What is at a height of a stack.
fn letter(chart: &Chart, step: usize, height: f64, is_line: bool) -> char {
    let mut below = 0.0;
    let mut sampled = chart.series.is_empty();
    for (name, heights) in &chart.series {
        if let Some(own) = heights.get(step).copied().flatten() {
            sampled = true;
            below += own;
            if below > height {
                return letter_of(name);
            }
        }
    }
    match (sampled, is_line) {
        (false, _) => '?',
        (true, true) => '=',
        (true, false) => ' ',
    }
}
