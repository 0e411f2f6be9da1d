//! PostgreSQL's own client programs, run for one thing: no secret is among their arguments, and they end with whoever started them.

use crate::backup::Progress;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_postgres::connect::{Target, libpq_names};
use pgtend_postgres::process::clients::Clients;
use pgtend_postgres::process::os_user::OsUser;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread::JoinHandle;

/// Between the columns of an answer: nothing that is in a name.
const COLUMN: char = '\u{1f}';
/// Between the rows of an answer.
const ROW: char = '\u{1e}';
/// What is kept of complaints.
const MOST_WORDS: u64 = 64 << 10;
/// What is copied at once from one program to another.
const PIECE: usize = 128 << 10;

/// How to reach a database by PostgreSQL's client programs.
#[derive(Debug, Clone)]
pub struct Programs {
    bindir: PathBuf,
    variables: Vec<(&'static str, String)>,
    address: String,
    user: Option<OsUser>,
}

impl Programs {
    /// These programs, with this target. `user` is who runs them, where that is not ourselves: on a socket the server may want to see the user of the
    /// operating system.
    pub fn new(clients: &Clients, target: &Target, user: Option<OsUser>) -> Self {
        let variables = target.libpq_variables(pgtend_model::signal::APPLICATION_NAME);
        Self { bindir: clients.bindir.clone(), variables, address: format!("{}/{}", target.address(), target.database()), user }
    }

    /// The same server, another database.
    #[must_use]
    pub fn with_database(&self, name: &str) -> Self {
        let mut other = self.clone();
        for (variable, value) in &mut other.variables {
            if *variable == "PGDATABASE" {
                name.clone_into(value);
            }
        }
        other
    }

    /// The rows that a query gives, as text; SQL's null is empty.
    ///
    /// # Errors
    /// What the server says, as `Server`; `Unreachable` when nobody answers.
    pub fn rows(&self, sql: &str) -> Result<Vec<Vec<String>>> {
        let mut command = self.psql()?;
        command.args(["-q", "-A", "-t", "-F", &COLUMN.to_string(), "-R", &ROW.to_string(), "-c", sql]);
        let output = self.spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()))?.wait_with_output();
        let output = output.map_err(|error| Error::new(Kind::System, format!("psql cannot be waited for: {error}")))?;
        if !output.status.success() {
            return Err(self.complaint("psql", &String::from_utf8_lossy(&output.stderr)));
        }
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let text = text.strip_suffix('\n').unwrap_or(&text);
        Ok(text.split(ROW).filter(|row| !row.is_empty()).map(|row| row.split(COLUMN).map(str::to_owned).collect()).collect())
    }

    /// One value, or nothing.
    ///
    /// # Errors
    /// As [`Programs::rows`].
    pub fn value(&self, sql: &str) -> Result<String> {
        Ok(self.rows(sql)?.into_iter().next().and_then(|row| row.into_iter().next()).unwrap_or_default())
    }

    /// Begins a conversation: statements are written to it, and count when it is ended well.
    ///
    /// # Errors
    /// `System` when psql cannot be started.
    pub fn talk(&self) -> Result<Talk> {
        let mut command = self.psql()?;
        command.args(["-A", "-t", "-q", "-f", "-"]);
        let mut child = self.spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()))?;
        let (said, words) = (child.stdout.take().map(collect), child.stderr.take().map(collect));
        Ok(Talk { programs: self.clone(), stdin: child.stdin.take(), child, said, words })
    }

    /// Runs a program of theirs whose output is wanted by somebody.
    ///
    /// # Errors
    /// `NotFound` when it is not there; `System` when it cannot be started.
    pub fn output(&self, name: &'static str, arguments: &[String]) -> Result<Output> {
        let mut command = self.command(name)?;
        command.args(arguments);
        let mut child = self.spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()))?;
        let words = child.stderr.take().map(collect);
        Ok(Output { programs: self.clone(), name, child, words })
    }

    fn psql(&self) -> Result<Command> {
        let mut command = self.command("psql")?;
        command.args(["--no-psqlrc", "--no-password", "-v", "ON_ERROR_STOP=1"]);
        Ok(command)
    }

    fn command(&self, name: &str) -> Result<Command> {
        let program = self.bindir.join(name);
        if !program.exists() {
            return Err(Error::new(Kind::NotFound, format!("{name} is not installed here"))
                .at(program.display().to_string())
                .hint("install the package of PostgreSQL's client programs (postgresql-client), or name where they are with --bindir"));
        }
        let mut command = self.user.as_ref().map_or_else(|| Command::new(&program), |user| user.command(&program));
        libpq_names().for_each(|name| {
            command.env_remove(name);
        });
        // Ctrl-C is for us: we end it ourselves.
        command
            .envs(self.variables.iter().map(|(name, value)| (*name, value)))
            .env("LC_ALL", "C")
            .env("PGCLIENTENCODING", "UTF8")
            .process_group(0);
        Ok(command)
    }

    fn spawn(&self, command: &mut Command) -> Result<Child> {
        let program = command.get_program().to_string_lossy().into_owned();
        let spawned = match &self.user {
            Some(user) => user.run(|| command.spawn())?,
            None => command.spawn(),
        };
        spawned.map_err(|error| Error::new(Kind::System, format!("the program cannot be started: {error}")).at(program))
    }

    fn complaint(&self, program: &str, words: &str) -> Error {
        // The context shows rows, and what is in rows belongs into no error.
        let shown = |line: &&str| !line.trim().is_empty() && !line.starts_with("CONTEXT:");
        let lines: Vec<&str> = words.lines().filter(shown).take(6).collect();
        let said = lines.join("; ");
        let error = |kind, what: String| Error::new(kind, what).at(self.address.clone());
        if words.contains("authentication failed") || words.contains("no password supplied") {
            return error(Kind::Authentication, format!("the server refuses the login: {said}"))
                .hint("say with --connection as whom to connect, for example \"host=/run/postgresql user=postgres\"");
        }
        if words.contains("FATAL:  database") && words.contains("does not exist") {
            return error(Kind::NotFound, format!("there is no such database now: {said}"))
                .hint("name another with --db; a database that was dropped comes back with --into-db NAME");
        }
        if words.contains("connection to server") || words.contains("could not connect") {
            return error(Kind::Unreachable, format!("the server does not answer: {said}"))
                .hint("say with --connection where the server is");
        }
        if words.contains("permission denied") || words.contains("must be superuser") || words.contains("must be owner") {
            return error(Kind::Privilege, format!("{program}: {said}"))
                .hint("connect as a superuser, or as the owner of the tables: --connection \"… user=NAME\"");
        }
        error(Kind::Server, format!("{program}: {said}"))
    }
}

/// A conversation with a server. Dropped before its end, nothing of it counts.
pub struct Talk {
    programs: Programs,
    child: Child,
    stdin: Option<ChildStdin>,
    said: Option<JoinHandle<String>>,
    words: Option<JoinHandle<String>>,
}

impl Talk {
    /// Says something.
    ///
    /// # Errors
    /// What the server said, when it has refused something before.
    pub fn say(&mut self, sql: &str) -> Result<()> {
        let written = self.stdin.as_mut().map(|stdin| stdin.write_all(sql.as_bytes()).and_then(|()| stdin.write_all(b"\n")));
        match written {
            Some(Ok(())) => Ok(()),
            _ => Err(self.refusal()),
        }
    }

    /// Passes on everything that a program writes. Whether the program ended well is for [`Output::end`] to say.
    ///
    /// # Errors
    /// What the server said; when somebody wants it to stop.
    pub fn pass(&mut self, output: &mut Output, progress: &Progress) -> Result<()> {
        let mut piece = vec![0; PIECE];
        let mut stdout = output.child.stdout.take();
        while let Some(source) = &mut stdout {
            progress.check()?;
            let bytes =
                source.read(&mut piece).map_err(|error| Error::new(Kind::System, format!("{} cannot be read: {error}", output.name)))?;
            if bytes == 0 {
                break;
            }
            progress.done(bytes as u64);
            if self.stdin.as_mut().is_none_or(|stdin| stdin.write_all(&piece[..bytes]).is_err()) {
                return Err(self.refusal());
            }
        }
        Ok(())
    }

    /// Ends it; gives what was answered, a row a line.
    ///
    /// # Errors
    /// What the server said.
    pub fn end(mut self) -> Result<Vec<String>> {
        drop(self.stdin.take());
        let status = self.child.wait().map_err(|error| Error::new(Kind::System, format!("psql cannot be waited for: {error}")))?;
        if !status.success() {
            return Err(self.refusal());
        }
        let said = self.said.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        Ok(said.lines().map(str::to_owned).collect())
    }

    fn refusal(&mut self) -> Error {
        drop(self.stdin.take());
        let _ = self.child.wait();
        let words = self.words.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        self.programs.complaint("the server refused", &words)
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        end_now(&mut self.child);
    }
}

/// A program that writes.
pub struct Output {
    programs: Programs,
    name: &'static str,
    child: Child,
    words: Option<JoinHandle<String>>,
}

impl Output {
    /// Reads and counts everything, and keeps nothing of it.
    ///
    /// # Errors
    /// When somebody wants it to stop.
    pub fn drain(&mut self, progress: &Progress) -> Result<u64> {
        let mut piece = vec![0; PIECE];
        let mut total = 0;
        if let Some(mut source) = self.child.stdout.take() {
            loop {
                progress.check()?;
                match source.read(&mut piece) {
                    Ok(0) => break,
                    Ok(bytes) => total += bytes as u64,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(Error::new(Kind::System, format!("{} cannot be read: {error}", self.name))),
                }
            }
        }
        Ok(total)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// What it complained of, when it did not end well.
    pub fn end(mut self) -> Result<()> {
        let status = self.child.wait().map_err(|error| Error::new(Kind::System, format!("{} cannot be waited for: {error}", self.name)))?;
        let words = self.words.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        if status.success() { Ok(()) } else { Err(self.programs.complaint(self.name, &words)) }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        end_now(&mut self.child);
    }
}

fn end_now(child: &mut Child) {
    if matches!(child.try_wait(), Ok(None)) {
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// Reads a pipe to its end on a thread, so that its writer never waits.
fn collect(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = pipe.by_ref().take(MOST_WORDS).read_to_end(&mut text);
        let _ = io::copy(&mut pipe, &mut io::sink());
        String::from_utf8_lossy(&text).into_owned()
    })
}
