//! Colours, and what stands for them where there are none.

use pgtend_model::ash::WaitClass;
use pgtend_model::health::{Level, Threshold};
use ratatui::style::{Color, Modifier, Style};

/// The colour of a wait class, among the sixteen that every terminal has in its own taste.
pub fn colour(class: WaitClass) -> Color {
    match class {
        WaitClass::Cpu => Color::Green,
        WaitClass::UserIO => Color::Blue,
        WaitClass::SystemIO => Color::Cyan,
        WaitClass::Commit => Color::Yellow,
        WaitClass::Application => Color::Red,
        WaitClass::Concurrency => Color::Magenta,
        WaitClass::Network => Color::Gray,
        WaitClass::Scheduler => Color::LightGreen,
        WaitClass::Cluster => Color::LightCyan,
        WaitClass::Other => Color::LightMagenta,
        WaitClass::Idle => Color::DarkGray,
    }
}

/// What a piece of a bar is drawn with where there are no colours.
pub fn symbol(class: WaitClass) -> char {
    match class {
        WaitClass::Cpu => '█',
        WaitClass::UserIO => '▓',
        WaitClass::SystemIO => '▒',
        WaitClass::Commit => '░',
        WaitClass::Application => 'L',
        WaitClass::Concurrency => 'x',
        WaitClass::Network => 'n',
        WaitClass::Scheduler => 's',
        WaitClass::Cluster => 'r',
        WaitClass::Other => '?',
        WaitClass::Idle => '.',
    }
}

/// As it should be.
pub fn good() -> Style {
    Style::new().fg(Color::Green)
}

/// Worth a look.
pub fn warn() -> Style {
    Style::new().fg(Color::Yellow)
}

/// Wrong.
pub fn bad() -> Style {
    Style::new().fg(Color::Red).add_modifier(Modifier::BOLD)
}

/// Less important, or unknown.
pub fn dim() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

/// A heading.
pub fn strong() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

/// A key that can be pressed.
pub fn key() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

/// The chosen row, and bars of headings.
pub fn reversed() -> Style {
    Style::new().add_modifier(Modifier::REVERSED)
}

/// A figure by how bad it is.
pub fn grade(figure: f64, from_warn: f64, from_bad: f64) -> Style {
    of_level(Threshold { warning: from_warn, critical: from_bad }.level(Some(figure)))
}

/// A figure that was held against its threshold.
pub fn of_level(level: Level) -> Style {
    match level {
        Level::Down => bad(),
        Level::Degraded => warn(),
        Level::Up | Level::Unknown => Style::new(),
    }
}
