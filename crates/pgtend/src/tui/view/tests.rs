//! What is drawn, on a small and on a large screen.

use super::super::state::{Confirm, Message, Mode, Order, State, Tab, Trouble};
use super::fixtures::{noon, state};
use super::*;
use jiff::SignedDuration;
use pgtend_model::error::{Error, Kind};
use pgtend_model::signal::Signal;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

const SMALL: (u16, u16) = (80, 24);
const LARGE: (u16, u16) = (160, 50);

fn drawn(state: &State) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(state.screen.0, state.screen.1)).unwrap();
    terminal.draw(|frame| draw(frame, state)).unwrap();
    terminal.backend().buffer().clone()
}

fn text(state: &State) -> String {
    let buffer = drawn(state);
    let width = usize::from(buffer.area.width);
    let rows =
        buffer.content.chunks(width).map(|row| row.iter().map(ratatui::buffer::Cell::symbol).collect::<String>().trim_end().to_owned());
    rows.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_tab_on_a_small_screen() {
    for tab in Tab::ALL {
        insta::assert_snapshot!(format!("small_{}", tab.name().to_lowercase()), text(&state(SMALL, tab)));
    }
}

#[test]
fn every_tab_on_a_large_screen() {
    for tab in Tab::ALL {
        insta::assert_snapshot!(format!("large_{}", tab.name().to_lowercase()), text(&state(LARGE, tab)));
    }
}

#[test]
fn the_bar_of_the_chosen_row_is_no_blank() {
    let buffer = drawn(&State { colour: true, ..state(SMALL, Tab::Queries) });
    let is_reversed = |cell: &&ratatui::buffer::Cell| cell.modifier.contains(ratatui::style::Modifier::REVERSED);
    let rows = buffer.content.chunks(usize::from(SMALL.0));
    let chosen = rows.skip(5).find(|row| row.iter().filter(is_reversed).count() > 40).expect("one row is chosen");
    let bar: Vec<_> = chosen.iter().filter(|cell| cell.symbol() == "█").collect();
    assert!(!bar.is_empty() && !bar.iter().any(is_reversed), "{chosen:?}");
}

#[test]
fn help_lists_the_keys() {
    insta::assert_snapshot!(text(&State { mode: Mode::Help, ..state(SMALL, Tab::Sessions) }));
}

#[test]
fn a_session_in_full() {
    insta::assert_snapshot!(text(&State { mode: Mode::Detail(0), ..state(SMALL, Tab::Sessions) }));
}

#[test]
fn a_statement_in_full_keeps_its_lines() {
    insta::assert_snapshot!(text(&State { mode: Mode::Detail(0), ..state(SMALL, Tab::Queries) }));
}

#[test]
fn a_question_names_the_session() {
    for (name, signal) in [("cancel", Signal::Cancel), ("terminate", Signal::Terminate)] {
        let mut state = state(SMALL, Tab::Sessions);
        let session = state.sessions()[0].clone();
        let target = session.target().unwrap();
        state.mode = Mode::Confirm(Box::new(Confirm { signal, session, target }));
        insta::assert_snapshot!(name, text(&state));
    }
}

#[test]
fn a_lost_agent_leaves_what_came_last_and_says_so() {
    let mut state = state(SMALL, Tab::Sessions);
    let error = Error::new(Kind::Unreachable, "the agent cannot be reached: Connection refused (os error 111)");
    state.trouble = Some(Trouble { error, since: noon() - SignedDuration::from_secs(30) });
    insta::assert_snapshot!(text(&state));
    let buffer = drawn(&state);
    let faded = (10..20).all(|y| (0..80).all(|x| buffer[(x, y)].fg == Color::DarkGray));
    assert!(faded, "what came last is shown as old");
}

#[test]
fn a_server_that_is_down_is_told_though_the_agent_answers() {
    let mut state = state(SMALL, Tab::Sessions);
    if let Some(data) = &mut state.data {
        (data.status.state, data.status.since) = ("down".into(), Some(noon()));
        data.status.error = Some("the server does not answer\n  where: db1:5432".into());
        let why = pgtend_model::sample::Unknown::new(pgtend_model::sample::Reason::Unreachable, "the server does not answer");
        data.sessions.unknown.note("sessions", why);
    }
    insta::assert_snapshot!(text(&state));
}

#[test]
fn the_beginning_and_the_filter_and_messages() {
    insta::assert_snapshot!("beginning", text(&State::new(noon())));
    let mut filtered = State { filter: "stock".into(), mode: Mode::Filter(String::new()), ..state(SMALL, Tab::Sessions) };
    filtered.order = Order::Memory;
    filtered.message = Some(Message { text: "1333 cancelled".into(), is_bad: false, until: noon() });
    insta::assert_snapshot!("filtered", text(&filtered));
}

#[test]
fn without_colours_every_class_has_its_pattern() {
    let state = State { colour: false, ..state(SMALL, Tab::Waits) };
    insta::assert_snapshot!(text(&state));
    assert!(drawn(&state).content.iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
}

#[test]
fn no_screen_is_too_small_or_too_large_to_be_drawn_on() {
    for width in [1, 20, 59, 60, 61, 79, 100, 300] {
        for height in [1, 5, 15, 16, 19, 20, 30, 36, 100] {
            for tab in Tab::ALL {
                let mut state = state((width, height), tab);
                for mode in [Mode::Normal, Mode::Help, Mode::Detail(3)] {
                    state.mode = mode;
                    drawn(&state);
                }
            }
        }
    }
}

#[test]
fn nothing_from_a_client_steers_the_terminal() {
    let mut state = state(LARGE, Tab::Sessions);
    if let Some(data) = &mut state.data {
        data.sessions.sessions[0].query = Some("select '\u{1b}[2J\u{9b}31m'\nfrom\tx".into());
        data.sessions.sessions[0].application_name = Some("\u{1b}]0;x\u{7}".into());
        data.status.server = "a\u{1b}[31mb".into();
    }
    for mode in [Mode::Normal, Mode::Detail(0)] {
        state.mode = mode;
        assert!(!drawn(&state).content.iter().any(|cell| cell.symbol().chars().any(pgtend_model::units::steers)));
    }
}
