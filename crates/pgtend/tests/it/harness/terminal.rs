//! A terminal of a test: a program on a pseudo-terminal, its screen as a person sees it, and keys.

use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);
const ROWS: u16 = 40;
const COLUMNS: u16 = 140;

/// A terminal with a program on it. Dropping it ends the program.
pub struct Terminal {
    keyboard: File,
    /// The program's side, open as long as the terminal is, so that its modes can be read after the program's end.
    line: OwnedFd,
    modes_before: Termios,
    screen: Arc<Mutex<vt100::Parser>>,
    child: Child,
}

/// How a program left its terminal.
pub struct Left {
    /// Its exit code.
    pub code: i32,
    /// What is on the screen.
    pub text: String,
    /// Whether the terminal is as it was: its modes, the ordinary screen, a visible cursor.
    pub is_restored: bool,
}

impl Terminal {
    /// Runs a program on a new terminal, which controls it as a shell's would.
    pub fn start(program: &Command) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let line = open(ptsname(&master, Vec::new()).unwrap(), OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        tcsetwinsize(&line, Winsize { ws_row: ROWS, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let modes_before = tcgetattr(&line).unwrap();
        let child = on(program, &line).spawn().unwrap();
        let screen = Arc::new(Mutex::new(vt100::Parser::new(ROWS, COLUMNS, 0)));
        let keyboard = File::from(master);
        let (output, shown) = (keyboard.try_clone().unwrap(), screen.clone());
        std::thread::spawn(move || show(output, &shown));
        Self { keyboard, line, modes_before, screen, child }
    }

    /// What is on the screen.
    pub fn text(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    /// The screen itself, with its colours.
    pub fn screen(&self) -> vt100::Screen {
        self.screen.lock().unwrap().screen().clone()
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Asks the program to end (SIGTERM).
    pub fn terminate(&self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
    }

    /// Waits until all these words are on the screen.
    pub async fn shows(&self, words: &[&str]) {
        let ends = Instant::now() + PATIENCE;
        while !words.iter().all(|word| self.text().contains(word)) {
            assert!(Instant::now() < ends, "{words:?} did not come onto the screen:\n{}", self.text());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the program has ended.
    pub async fn left(mut self) -> Left {
        let ends = Instant::now() + PATIENCE;
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None => assert!(Instant::now() < ends, "the program does not end:\n{}", self.text()),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        // What it wrote last may still be on its way.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let (was, is) = (&self.modes_before, tcgetattr(&self.line).unwrap());
        let same_modes = (was.input_modes, was.output_modes, was.control_modes, was.local_modes)
            == (is.input_modes, is.output_modes, is.control_modes, is.local_modes);
        let parser = self.screen.lock().unwrap();
        let is_restored = same_modes && !parser.screen().alternate_screen() && !parser.screen().hide_cursor();
        Left { code: status.code().unwrap(), text: parser.screen().contents(), is_restored }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// The program in a session of its own, whose terminal this is.
fn on(program: &Command, line: &OwnedFd) -> Command {
    let mut command = Command::new("setsid");
    command.args(["--ctty", "--wait"]).arg(program.get_program()).args(program.get_args()).env_clear().env("TERM", "xterm-256color");
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let end = || line.try_clone().unwrap();
    command.stdin(end()).stdout(end()).stderr(end());
    command
}

/// Shows what the program writes, until nobody has the other side open any more.
fn show(mut output: File, screen: &Mutex<vt100::Parser>) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = output.read(&mut buffer) {
        screen.lock().unwrap().process(&buffer[..length]);
    }
}
