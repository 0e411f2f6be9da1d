//! Help, and the question before a signal.

use super::super::state::Confirm;
use super::{boxed, theme};
use pgtend_model::signal::Signal;
use pgtend_model::units::{harmless, one_line, show_seconds};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph, Wrap};

const KEYS: [(&str, &str); 17] = [
    ("1-7  Tab  ← →", "another tab"),
    ("↑ ↓ PgUp PgDn Home End", "another row"),
    ("Enter", "the row in full, with the whole statement"),
    ("c", "cancel the statement (asks first)"),
    ("k", "end the session (asks first)"),
    ("/", "only rows that contain a text; Esc shows all"),
    ("s", "sort by the next column"),
    ("r", "sort the other way round"),
    ("i", "idle sessions too"),
    ("w", "another window of the chart: 5 min to 24 h"),
    ("+  -", "look less or more often"),
    ("p  Space", "pause"),
    ("n", "the agent's next server"),
    ("?  h  F1", "this help"),
    ("q  Ctrl-C", "quit"),
    ("", ""),
    ("", "Bars count sessions at work: on CPU, or waiting, by wait class."),
];

pub(super) fn help(frame: &mut Frame<'_>, area: Rect) {
    let inside = boxed(frame, area, 78, 20);
    let lines = KEYS.iter().map(|(keys, what)| Line::from(vec![Span::styled(format!(" {keys:<22}"), theme::key()), Span::raw(*what)]));
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()).block(Block::bordered().title(" Keys ")), inside);
}

pub(super) fn confirm(frame: &mut Frame<'_>, area: Rect, confirm: &Confirm) {
    let session = &confirm.session;
    let title = match confirm.signal {
        Signal::Cancel => format!(" Cancel the statement of {}? ", session.session_id),
        Signal::Terminate => format!(" End session {}? ", session.session_id),
    };
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "–".to_owned());
    let age = |seconds: Option<f64>| seconds.map_or_else(|| "–".to_owned(), show_seconds);
    let doing = session.doing.map_or("hidden", pgtend_model::document::sessions::Doing::name);
    let client = session.client.clone().unwrap_or_else(|| "local".to_owned());
    let mut lines = vec![
        Line::from(harmless(&format!(
            "{} on {}, {} from {client}",
            text(&session.user),
            text(&session.database),
            text(&session.application_name)
        ))),
        Line::from(format!("{doing} for {}, transaction {}", age(session.seconds), age(session.transaction_seconds))),
        Line::from(one_line(session.query.as_deref().unwrap_or_default()).chars().take(400).collect::<String>()),
        Line::default(),
    ];
    lines.extend(match confirm.signal {
        Signal::Cancel => vec![choice("y", "cancel it, if it still runs this statement"), choice("n", "leave it")],
        Signal::Terminate => vec![
            Line::from("Its transaction is rolled back."),
            choice("y", "end it, if it has begun no other statement since"),
            choice("a", "end it, whatever it does now"),
            choice("n", "leave it"),
        ],
    });
    let inside = boxed(frame, area, 76, 13);
    let block = Block::bordered().title(title).border_style(theme::bad());
    frame.render_widget(Paragraph::new(lines).block(block).wrap(Wrap { trim: true }), inside);
}

fn choice(key: &'static str, what: &'static str) -> Line<'static> {
    Line::from(vec![Span::styled(format!("{key}  "), theme::key()), Span::raw(what)])
}
