//! A data directory made once a version by `initdb` and copied for every cluster: a copy costs a tenth of an `initdb`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::account::Account;
use super::servers::Server;

/// The argument of `initdb` for a cluster without checksums.
const WITHOUT_CHECKSUMS: &str = "--no-data-checksums";

/// Puts a fresh data directory of this server at `data`, a copy of the version's template.
///
/// All copies share one system identifier; a test that minds asks the builder for its own `initdb`.
pub fn copy_to(data: &Path, server: &Server, account: Account) {
    let template = ready(server, account);
    run(Command::new("cp").args(["-a", "--reflink=auto"]).arg(template).arg(data));
}

/// Runs `initdb`: superuser `postgres`, trust, UTF-8, the C locale, checksums unless the arguments have `--no-data-checksums`, which only 18 has itself.
pub fn initdb(data: &Path, server: &Server, account: Account, arguments: &[String]) {
    let directory = data.parent().expect("a data directory is inside the cluster's directory");
    let mut command = account.command(&server.bindir.join("initdb"), directory);
    command.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]);
    let (without, others): (Vec<&String>, Vec<&String>) = arguments.iter().partition(|argument| *argument == WITHOUT_CHECKSUMS);
    if without.is_empty() {
        command.arg("--data-checksums");
    } else if server.major >= 18 {
        command.arg(WITHOUT_CHECKSUMS);
    }
    run(command.args(others).arg("-D").arg(data));
}

/// The version's template. Tests may make it at the same time: the first rename wins, the others throw theirs away.
fn ready(server: &Server, account: Account) -> PathBuf {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let template = cache.join(format!("initdb-{}", server.version));
    if template.exists() {
        return template;
    }
    // The cache may be where only the tests' user can go; `initdb` needs a place of its own user.
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    account.own(directory.path());
    let made = directory.path().join("data");
    initdb(&made, server, account, &[]);
    let partial = tempfile::tempdir_in(cache).expect("the cache is writable");
    run(Command::new("cp").arg("-a").arg(made).arg(partial.path()));
    // Failing to rename is losing the race.
    let _ = fs::rename(partial.path().join("data"), &template);
    template
}

/// Runs a command to its end; the test fails with what it printed when it fails.
pub fn run(command: &mut Command) -> String {
    let done = command.output().unwrap_or_else(|error| panic!("{:?} cannot be started: {error}", command.get_program()));
    let stdout = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{command:?} failed: {}\n{stdout}{}", done.status, String::from_utf8_lossy(&done.stderr));
    stdout
}
