//! Keys, answers and time, one after the other.

use super::super::state::{Key, Tab};
use super::super::view::fixtures::{noon, state};
use super::*;
use pgtend_model::error::Kind;

const SCREEN: (u16, u16) = (80, 24);

fn press(state: &mut State, key: KeyCode) -> Vec<Effect> {
    update(state, Event::Key(KeyEvent::from(key)), noon())
}

fn typed(state: &mut State, text: &str) {
    text.chars().for_each(|c| drop(press(state, KeyCode::Char(c))));
}

fn chosen_pid(state: &State) -> Option<i64> {
    state.chosen_session().map(|session| session.session_id)
}

#[test]
fn it_looks_at_once_and_then_at_every_interval_but_never_twice_at_a_time() {
    let mut state = State::new(noon());
    let after = |ms: i64| noon() + SignedDuration::from_millis(ms);
    assert!(matches!(update(&mut state, Event::Tick, noon())[..], [Effect::Look(_)]));
    assert_eq!(update(&mut state, Event::Tick, after(2500)), []);
    update(&mut state, Event::Failed(Error::new(Kind::Unreachable, "gone")), after(2600));
    assert_eq!(update(&mut state, Event::Tick, after(2700)), []);
    assert!(matches!(update(&mut state, Event::Tick, after(4600))[..], [Effect::Look(_)]));
}

#[test]
fn a_pause_stops_looking_until_it_ends() {
    let mut state = state(SCREEN, Tab::Sessions);
    press(&mut state, KeyCode::Char('p'));
    assert_eq!(update(&mut state, Event::Tick, noon() + SignedDuration::from_hours(1)), []);
    assert!(matches!(press(&mut state, KeyCode::Char(' '))[..], [Effect::Look(_)]));
}

#[test]
fn another_tab_asks_for_what_it_needs() {
    let mut state = state(SCREEN, Tab::Sessions);
    let [Effect::Look(wishes)] = &press(&mut state, KeyCode::Char('5'))[..] else { panic!("no look") };
    assert_eq!((wishes.tab, state.tab), (Tab::Host, Tab::Host));
    press(&mut state, KeyCode::Left);
    press(&mut state, KeyCode::Left);
    assert_eq!(state.tab, Tab::Queries);
    (0..5).for_each(|_| drop(press(&mut state, KeyCode::Tab)));
    assert_eq!(state.tab, Tab::Sessions);
}

#[test]
fn the_choice_stays_with_the_session_when_rows_change_places() {
    let mut state = state(SCREEN, Tab::Sessions);
    press(&mut state, KeyCode::Down);
    let pid = chosen_pid(&state);
    assert_ne!(pid, state.sessions().first().map(|session| session.session_id));
    press(&mut state, KeyCode::Char('r'));
    assert_eq!(chosen_pid(&state), pid);
    press(&mut state, KeyCode::End);
    press(&mut state, KeyCode::Down);
    assert_eq!(state.chosen_row(), state.sessions().len() - 1);
    press(&mut state, KeyCode::Home);
    assert_eq!(state.chosen_row(), 0);
}

#[test]
fn a_session_that_is_gone_is_no_longer_chosen() {
    let mut state = state(SCREEN, Tab::Sessions);
    state.chosen.insert(Tab::Sessions, Key::Session(99, None));
    assert_eq!(state.chosen_row(), 0);
}

#[test]
fn a_signal_is_sent_only_after_a_yes_and_names_what_was_seen() {
    let mut state = state(SCREEN, Tab::Sessions);
    let session = state.chosen_session().cloned().unwrap();
    assert_eq!(press(&mut state, KeyCode::Char('k')), []);
    assert!(matches!(&state.mode, Mode::Confirm(confirm) if confirm.session == session && confirm.signal == Signal::Terminate));
    assert_eq!(press(&mut state, KeyCode::Enter), [], "only a y is a yes");
    let target = session.target().unwrap();
    let [Effect::Signal { request, .. }] = &press(&mut state, KeyCode::Char('y'))[..] else { panic!("no signal") };
    assert_eq!((request.signal, &request.targets), (Signal::Terminate, &vec![target]));
    assert_eq!(state.mode, Mode::Normal);
}

#[test]
fn a_session_can_be_ended_whatever_it_does_by_then() {
    let mut state = state(SCREEN, Tab::Sessions);
    press(&mut state, KeyCode::Char('k'));
    let [Effect::Signal { request, .. }] = &press(&mut state, KeyCode::Char('a'))[..] else { panic!("no signal") };
    assert_eq!(request.targets[0].query_start, None);
    press(&mut state, KeyCode::Char('c'));
    assert_eq!(press(&mut state, KeyCode::Char('a')), [], "a statement is cancelled only if it is the one that was seen");
}

#[test]
fn what_was_chosen_is_signalled_even_if_rows_change_under_the_question() {
    let mut state = state(SCREEN, Tab::Sessions);
    let pid = chosen_pid(&state);
    press(&mut state, KeyCode::Char('c'));
    let mut snapshot = state.data.clone().unwrap();
    snapshot.sessions.sessions.retain(|session| Some(session.session_id) != pid);
    update(&mut state, Event::Came(Box::new(snapshot)), noon());
    let [Effect::Signal { request, .. }] = &press(&mut state, KeyCode::Char('y'))[..] else { panic!("no signal") };
    assert_eq!(Some(request.targets[0].pid), pid);
}

#[test]
fn what_is_never_touched_is_refused_before_any_question() {
    let mut state = state(SCREEN, Tab::Sessions);
    state.filter = "autovacuum".into();
    press(&mut state, KeyCode::Char('k'));
    assert_eq!(state.mode, Mode::Normal);
    assert!(state.message.as_ref().is_some_and(|message| message.is_bad && message.text.contains("a process of the server")));
    state.filter = "idle in transaction".into();
    press(&mut state, KeyCode::Char('c'));
    assert!(state.message.as_ref().is_some_and(|message| message.text.contains("runs no statement")));
}

#[test]
fn a_fate_is_told_for_a_while_and_the_next_look_is_at_once() {
    let mut state = state(SCREEN, Tab::Sessions);
    let effects = update(&mut state, Event::Signalled(Signal::Terminate, 7, Ok(Fate::Changed)), noon());
    assert!(matches!(effects[..], [Effect::Look(_)]));
    assert!(state.message.as_ref().is_some_and(|message| message.is_bad && message.text.contains("nothing was sent")));
    update(&mut state, Event::Tick, noon() + SignedDuration::from_secs(9));
    assert_eq!(state.message, None);
}

#[test]
fn a_filter_is_typed_kept_and_taken_back() {
    let mut state = state(SCREEN, Tab::Sessions);
    let all = state.sessions().len();
    press(&mut state, KeyCode::Char('/'));
    typed(&mut state, "stockq");
    press(&mut state, KeyCode::Backspace);
    press(&mut state, KeyCode::Enter);
    assert_eq!((state.filter.as_str(), state.sessions().len()), ("stock", 2));
    press(&mut state, KeyCode::Char('/'));
    typed(&mut state, "nothing");
    press(&mut state, KeyCode::Esc);
    assert_eq!(state.filter, "stock", "Esc brings back the former one");
    press(&mut state, KeyCode::Esc);
    assert_eq!(state.sessions().len(), all);
}

#[test]
fn keys_that_quit_are_letters_while_a_filter_is_typed() {
    let mut state = state(SCREEN, Tab::Sessions);
    press(&mut state, KeyCode::Char('/'));
    assert_eq!(press(&mut state, KeyCode::Char('q')), []);
    press(&mut state, KeyCode::Esc);
    assert_eq!(press(&mut state, KeyCode::Char('q')), [Effect::Quit]);
    press(&mut state, KeyCode::Char('/'));
    let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(update(&mut state, Event::Key(interrupt), noon()), [Effect::Quit]);
}

#[test]
fn trouble_is_dated_from_its_begin_and_ends_with_an_answer() {
    let mut state = state(SCREEN, Tab::Sessions);
    let gone = || Event::Failed(Error::new(Kind::Unreachable, "gone"));
    update(&mut state, gone(), noon());
    update(&mut state, gone(), noon() + SignedDuration::from_secs(60));
    assert_eq!(state.trouble.as_ref().map(|trouble| trouble.since), Some(noon()));
    assert!(state.data.is_some());
    let snapshot = state.data.clone().unwrap();
    update(&mut state, Event::Came(Box::new(snapshot)), noon());
    assert_eq!(state.trouble, None);
}

#[test]
fn intervals_and_windows_have_ends() {
    let mut state = state(SCREEN, Tab::Sessions);
    (0..20).for_each(|_| drop(press(&mut state, KeyCode::Char('-'))));
    assert_eq!(state.interval, Duration::from_millis(500));
    (0..20).for_each(|_| drop(press(&mut state, KeyCode::Char('+'))));
    assert_eq!(state.interval, Duration::from_secs(60));
    (0..WINDOWS.len()).for_each(|_| drop(press(&mut state, KeyCode::Char('w'))));
    assert_eq!(state.window, 0);
}

#[test]
fn servers_go_round() {
    let mut state = state(SCREEN, Tab::Sessions);
    assert_eq!(press(&mut state, KeyCode::Char('n')), []);
    (state.servers, state.server) = (vec!["a".into(), "b".into()], Some("b".into()));
    let [Effect::Look(wishes)] = &press(&mut state, KeyCode::Char('n'))[..] else { panic!("no look") };
    assert_eq!(wishes.server.as_deref(), Some("a"));
    assert!(state.data.is_none(), "figures of another server are not shown under this one's name");
}
