//! How events change the state: a pure function. What is to be done besides comes out as effects.

use super::state::{Confirm, INTERVALS_MS, Message, Mode, Order, Snapshot, State, Tab, Trouble, WINDOWS, Wishes};
use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use jiff::{SignedDuration, Timestamp};
use pgtend_model::document::load::Sort;
use pgtend_model::document::sessions::Doing;
use pgtend_model::error::Error;
use pgtend_model::signal::{Fate, Request, Signal, Target};
use std::time::Duration;

/// What happens.
#[derive(Debug, Clone)]
pub enum Event {
    /// A key was pressed.
    Key(KeyEvent),
    /// The screen has another size.
    Resize(u16, u16),
    /// Time passes.
    Tick,
    /// A look brought this.
    Came(Box<Snapshot>),
    /// A look brought nothing.
    Failed(Error),
    /// A signal was sent, or could not be.
    Signalled(Signal, i64, Result<Fate, Error>),
    /// Somebody asks the process to end.
    End,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Look.
    Look(Wishes),
    /// Send a signal.
    Signal {
        /// What to ask for.
        request: Request,
        /// On which of the agent's servers.
        server: Option<String>,
    },
    /// End.
    Quit,
}

/// How long a message stays.
const MESSAGE_SECONDS: i64 = 8;
/// How long to wait after a look that failed.
const PATIENCE: Duration = Duration::from_secs(1);

/// Takes in what happened at `now`, and says what to do.
pub fn update(state: &mut State, event: Event, now: Timestamp) -> Vec<Effect> {
    state.now = now;
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => return pressed(state, key),
        Event::Key(_) => {}
        Event::Resize(width, height) => {
            state.screen = (width, height);
            return look_now(state);
        }
        Event::Tick => return tick(state),
        Event::Came(snapshot) => came(state, *snapshot),
        Event::Failed(error) => failed(state, error),
        Event::Signalled(signal, pid, outcome) => {
            signalled(state, signal, pid, outcome);
            return look_now(state);
        }
        Event::End => return vec![Effect::Quit],
    }
    Vec::new()
}

fn later(now: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).map_or(now, |by| now + by)
}

fn tick(state: &mut State) -> Vec<Effect> {
    if state.message.as_ref().is_some_and(|message| message.until <= state.now) {
        state.message = None;
    }
    if state.paused || state.fetching || state.now < state.next_look { Vec::new() } else { look(state) }
}

/// While one look is under way the next waits for it: what was chosen meanwhile is asked for as soon as it has come.
fn look_now(state: &mut State) -> Vec<Effect> {
    state.next_look = state.now;
    if state.fetching { Vec::new() } else { look(state) }
}

fn look(state: &mut State) -> Vec<Effect> {
    state.fetching = true;
    state.next_look = later(state.now, state.interval);
    vec![Effect::Look(state.wishes())]
}

fn came(state: &mut State, snapshot: Snapshot) {
    state.fetching = false;
    state.trouble = None;
    state.data = Some(snapshot);
    state.came_at = Some(state.now);
}

fn failed(state: &mut State, error: Error) {
    state.fetching = false;
    state.next_look = later(state.now, state.interval.max(PATIENCE));
    let since = state.trouble.as_ref().map_or(state.now, |trouble| trouble.since);
    state.trouble = Some(Trouble { error, since });
}

fn signalled(state: &mut State, signal: Signal, pid: i64, outcome: Result<Fate, Error>) {
    let done = match signal {
        Signal::Cancel => "cancelled",
        Signal::Terminate => "terminated",
    };
    match outcome {
        Ok(Fate::Signalled) => say(state, format!("{pid} {done}")),
        Ok(fate) => complain(state, format!("{pid} {fate}")),
        Err(error) => complain(state, format!("{pid} not {done}: {}", error.what)),
    }
}

fn say(state: &mut State, text: impl Into<String>) {
    let until = state.now + SignedDuration::from_secs(MESSAGE_SECONDS);
    state.message = Some(Message { text: text.into(), is_bad: false, until });
}

fn complain(state: &mut State, text: impl Into<String>) {
    say(state, text);
    if let Some(message) = &mut state.message {
        message.is_bad = true;
    }
}

fn pressed(state: &mut State, key: KeyEvent) -> Vec<Effect> {
    if key.modifiers.contains(KeyModifiers::CONTROL) && matches!(key.code, KeyCode::Char('c' | 'd')) {
        return vec![Effect::Quit];
    }
    match state.mode.clone() {
        Mode::Normal => normal(state, key.code),
        Mode::Help => {
            state.mode = Mode::Normal;
            Vec::new()
        }
        Mode::Detail(scroll) => {
            detail(state, key.code, scroll);
            signal_key(state, key.code);
            Vec::new()
        }
        Mode::Filter(former) => {
            filter(state, key.code, former);
            Vec::new()
        }
        Mode::Confirm(confirm) => answer(state, key.code, *confirm),
    }
}

fn normal(state: &mut State, key: KeyCode) -> Vec<Effect> {
    match key {
        KeyCode::Char('q') => return vec![Effect::Quit],
        KeyCode::Char(digit @ '1'..='7') => return show(state, Tab::ALL[digit as usize - '1' as usize]),
        KeyCode::Tab | KeyCode::Right => return show(state, state.tab.step(1)),
        KeyCode::BackTab | KeyCode::Left => return show(state, state.tab.step(-1)),
        KeyCode::Up => choose(state, -1),
        KeyCode::Down => choose(state, 1),
        KeyCode::PageUp => choose(state, -10),
        KeyCode::PageDown => choose(state, 10),
        KeyCode::Home => choose(state, isize::MIN),
        KeyCode::End => choose(state, isize::MAX),
        KeyCode::Char('?' | 'h') | KeyCode::F(1) => state.mode = Mode::Help,
        KeyCode::Enter if state.chosen_session().is_some() || state.chosen_query().is_some() => state.mode = Mode::Detail(0),
        KeyCode::Char('/') => state.mode = Mode::Filter(std::mem::take(&mut state.filter)),
        KeyCode::Esc => state.filter.clear(),
        KeyCode::Char('p' | ' ') => return pause(state),
        KeyCode::Char('+' | '=') => return faster(state, 1),
        KeyCode::Char('-') => return faster(state, -1),
        KeyCode::Char('w') => {
            state.window = (state.window + 1) % WINDOWS.len();
            return look_now(state);
        }
        KeyCode::Char('s') => return sort(state),
        KeyCode::Char('r') => state.reverse = !state.reverse,
        KeyCode::Char('i') if state.tab == Tab::Sessions => {
            state.all = !state.all;
            return look_now(state);
        }
        KeyCode::Char('n') => return next_server(state),
        other => signal_key(state, other),
    }
    Vec::new()
}

fn show(state: &mut State, tab: Tab) -> Vec<Effect> {
    state.tab = tab;
    look_now(state)
}

fn choose(state: &mut State, by: isize) {
    let keys = state.keys();
    let last = keys.len().saturating_sub(1);
    let row = state.chosen_row().saturating_add_signed(by).min(last);
    if let Some(key) = keys.get(row) {
        state.chosen.insert(state.tab, key.clone());
    }
}

fn pause(state: &mut State) -> Vec<Effect> {
    state.paused = !state.paused;
    if state.paused { Vec::new() } else { look_now(state) }
}

/// A longer interval for +, a shorter one for -.
fn faster(state: &mut State, by: isize) -> Vec<Effect> {
    let place = INTERVALS_MS.iter().position(|ms| u128::from(*ms) >= state.interval.as_millis()).unwrap_or(INTERVALS_MS.len() - 1);
    let place = place.saturating_add_signed(by).min(INTERVALS_MS.len() - 1);
    state.interval = Duration::from_millis(INTERVALS_MS[place]);
    look_now(state)
}

fn sort(state: &mut State) -> Vec<Effect> {
    const SORTS: [Sort; 5] = [Sort::Time, Sort::Cpu, Sort::Io, Sort::Wait, Sort::Lock];
    match state.tab {
        Tab::Sessions => {
            let place = Order::ALL.iter().position(|order| *order == state.order).unwrap_or(0);
            state.order = Order::ALL[(place + 1) % Order::ALL.len()];
            state.reverse = false;
            Vec::new()
        }
        Tab::Queries => {
            let place = SORTS.iter().position(|sort| *sort == state.sort).unwrap_or(0);
            state.sort = SORTS[(place + 1) % SORTS.len()];
            look_now(state)
        }
        _ => Vec::new(),
    }
}

fn next_server(state: &mut State) -> Vec<Effect> {
    let place = state.server.as_ref().and_then(|server| state.servers.iter().position(|name| name == server));
    let Some(place) = place.filter(|_| state.servers.len() > 1) else { return Vec::new() };
    state.server = Some(state.servers[(place + 1) % state.servers.len()].clone());
    state.data = None;
    look_now(state)
}

fn signal_key(state: &mut State, key: KeyCode) {
    let signal = match key {
        KeyCode::Char('c') => Signal::Cancel,
        KeyCode::Char('k') => Signal::Terminate,
        _ => return,
    };
    let Some(session) = state.chosen_session().cloned() else { return };
    let idles = matches!(session.doing, Some(Doing::Idle | Doing::IdleInTransaction));
    match session.target() {
        Ok(_) if signal == Signal::Cancel && idles => {
            complain(state, format!("{} runs no statement; k ends the session", session.session_id));
        }
        Ok(target) => state.mode = Mode::Confirm(Box::new(Confirm { signal, session, target })),
        Err(spared) => complain(state, format!("{} is left alone: {}", session.session_id, spared.why())),
    }
}

fn answer(state: &mut State, key: KeyCode, confirm: Confirm) -> Vec<Effect> {
    match key {
        KeyCode::Char('y' | 'Y') => {
            state.mode = Mode::Normal;
            vec![send(state, confirm.signal, confirm.target)]
        }
        KeyCode::Char('a' | 'A') if confirm.signal == Signal::Terminate => {
            state.mode = Mode::Normal;
            let target = Target { query_start: None, ..confirm.target };
            vec![send(state, confirm.signal, target)]
        }
        KeyCode::Char('n' | 'N' | 'q') | KeyCode::Esc => {
            state.mode = Mode::Normal;
            say(state, "nothing was done");
            Vec::new()
        }
        _ => Vec::new(),
    }
}

fn send(state: &State, signal: Signal, target: Target) -> Effect {
    let request = Request { signal, targets: vec![target], reason: Some("asked for in pgtend top".to_owned()), dry_run: false };
    Effect::Signal { request, server: state.server.clone() }
}

fn detail(state: &mut State, key: KeyCode, scroll: u16) {
    state.mode = match key {
        KeyCode::Esc | KeyCode::Enter | KeyCode::Char('q') => Mode::Normal,
        KeyCode::Up => Mode::Detail(scroll.saturating_sub(1)),
        KeyCode::Down => Mode::Detail(scroll.saturating_add(1)),
        KeyCode::PageUp => Mode::Detail(scroll.saturating_sub(10)),
        KeyCode::PageDown => Mode::Detail(scroll.saturating_add(10)),
        KeyCode::Home => Mode::Detail(0),
        _ => Mode::Detail(scroll),
    };
}

fn filter(state: &mut State, key: KeyCode, former: String) {
    match key {
        KeyCode::Enter => state.mode = Mode::Normal,
        KeyCode::Esc => {
            state.filter = former;
            state.mode = Mode::Normal;
        }
        KeyCode::Backspace => {
            state.filter.pop();
        }
        KeyCode::Char(c) => state.filter.push(c),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
