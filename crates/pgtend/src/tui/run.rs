//! The loop: keys, answers and time come in, the state changes, the screen is drawn.

use super::feed::{Ask, Feed};
use super::state::{Order, State};
use super::update::{Effect, Event, update};
use super::view;
use crate::agent::tasks::Tasks;
use crossterm::event::{Event as Input, EventStream};
use futures_util::StreamExt;
use jiff::{Timestamp, tz::TimeZone};
use pgtend_model::document::load::Sort;
use pgtend_model::error::{Error, Kind, Result};
use ratatui::DefaultTerminal;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// Time between looks at the clock.
const TICK: Duration = Duration::from_millis(250);
/// How long what is under way may take to end.
const PATIENCE: Duration = Duration::from_millis(300);

/// How to begin.
#[derive(Debug, Clone)]
pub struct Options {
    /// The agent's servers, where it has several.
    pub servers: Vec<String>,
    /// The one to show first.
    pub server: Option<String>,
    /// Time between looks.
    pub interval: Duration,
    /// By what statements are sorted.
    pub sort: Sort,
    /// By what sessions are sorted.
    pub order: Order,
    /// Whether colours are wanted.
    pub colour: bool,
}

/// Shows the screen until somebody leaves it.
///
/// # Errors
/// `System` when the terminal cannot be used.
pub async fn run(feed: Feed, options: Options) -> Result<()> {
    let heed = |kind| signal(kind).map_err(|error| Error::new(Kind::System, format!("signals cannot be heeded: {error}")));
    let (mut terminate, mut hangup) = (heed(SignalKind::terminate())?, heed(SignalKind::hangup())?);
    let tasks = Tasks::default();
    let (asks, asked) = mpsc::channel(16);
    let (events, mut answers) = mpsc::channel(16);
    tasks.spawn("top feed", feed.run(tasks.clone(), asked, events));
    let mut screen = Screen::enter()?;
    let mut state = begin(options, &screen);
    let outcome = turn(&mut screen, &mut state, &asks, &mut answers, &mut terminate, &mut hangup).await;
    drop(screen);
    drop(asks);
    tasks.cancel();
    let _cut_short = tasks.finished(PATIENCE).await;
    outcome
}

fn begin(options: Options, screen: &Screen) -> State {
    let mut state = State::new(Timestamp::now());
    if let Ok(size) = screen.0.size() {
        state.screen = (size.width, size.height);
    }
    state.zone = TimeZone::system();
    (state.servers, state.server) = (options.servers, options.server);
    (state.interval, state.colour) = (options.interval, options.colour);
    (state.sort, state.order) = (options.sort, options.order);
    state
}

async fn turn(
    screen: &mut Screen,
    state: &mut State,
    asks: &mpsc::Sender<Ask>,
    answers: &mut mpsc::Receiver<Event>,
    terminate: &mut Signal,
    hangup: &mut Signal,
) -> Result<()> {
    let mut keys = EventStream::new();
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        screen.0.draw(|frame| view::draw(frame, state)).map_err(|error| broken(&error))?;
        let event = tokio::select! {
            key = keys.next() => match key {
                Some(Ok(Input::Key(key))) => Event::Key(key),
                Some(Ok(Input::Resize(width, height))) => Event::Resize(width, height),
                Some(Ok(_)) => continue,
                Some(Err(error)) => return Err(broken(&error)),
                None => Event::End,
            },
            answer = answers.recv() => answer.ok_or_else(|| Error::new(Kind::Internal, "the task that fetches has ended"))?,
            _ = tick.tick() => Event::Tick,
            _ = terminate.recv() => Event::End,
            _ = hangup.recv() => Event::End,
        };
        for effect in update(state, event, Timestamp::now()) {
            let ask = match effect {
                Effect::Quit => return Ok(()),
                Effect::Look(wishes) => Ask::Look(wishes),
                Effect::Signal { request, server } => Ask::Signal { request, server },
            };
            // More than sixteen are never under way; one that finds no room is as good as not asked for.
            let _dropped = asks.try_send(ask);
        }
    }
}

fn broken(error: &std::io::Error) -> Error {
    Error::new(Kind::System, format!("the terminal cannot be used: {error}")).hint("pgtend top --once prints once, without a screen")
}

/// The terminal, taken over; given back when this goes, whatever happens. A panic gives it back before it says what happened.
struct Screen(DefaultTerminal);

impl Screen {
    fn enter() -> Result<Self> {
        ratatui::try_init().map(Self).map_err(|error| broken(&error))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}
