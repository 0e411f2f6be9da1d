//! What the server says: connection, credentials, rights, archiving.

use super::checks::{bytes, fail, failed, ok, time, unknown, warn};
use super::{Check, Facts, ServerFacts};
use crate::backup::wal_stream::StreamState;
use crate::units::show_seconds;
use jiff::SignedDuration;

/// A password that ends sooner is told.
const PASSWORD_SOON: SignedDuration = SignedDuration::from_hours(14 * 24);
/// Clocks that differ more are told.
pub const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_secs(60);

/// All checks of the server.
pub fn checks(facts: &Facts) -> Vec<Check> {
    let name = facts.server.as_str();
    let server = match &facts.asked {
        Ok(server) => server,
        Err(error) => {
            let mut checks = vec![failed("connection", name, error)];
            for id in ["credentials", "privileges", "archiving", "connections", "server_clock"] {
                checks.push(unknown(id, name, "the server could not be asked", "mend the connection first"));
            }
            return checks;
        }
    };
    let major = server.version / 10_000;
    let state = if server.in_recovery { "standby" } else { "primary" };
    let mut checks = vec![ok("connection", name, format!("PostgreSQL {major} answers as {}, a {state}", facts.role))];
    checks.push(credentials(name, server, facts));
    checks.extend(privileges(name, server, facts, major));
    checks.push(archiving(name, server, facts));
    checks.extend(streaming(name, facts));
    checks.push(connections(name, server, facts));
    checks.push(clock("server_clock", name, "the server's clock", server.clock_ahead));
    checks
}

fn credentials(name: &str, server: &ServerFacts, facts: &Facts) -> Check {
    let Some(until) = server.valid_until else { return ok("credentials", name, "the password does not run out") };
    let left = until.duration_since(facts.now);
    let fix = format!("ALTER ROLE \"{}\" VALID UNTIL 'infinity', or set a new password with a later date", facts.role);
    if left <= SignedDuration::ZERO {
        return fail(
            "credentials",
            name,
            format!("the password of {} ran out {} ago: the next connection fails", facts.role, time(left)),
            fix,
        );
    }
    if left < PASSWORD_SOON {
        return warn("credentials", name, format!("the password of {} runs out in {}", facts.role, time(left)), fix);
    }
    ok("credentials", name, format!("the password is valid until {until}"))
}

fn privileges(name: &str, server: &ServerFacts, facts: &Facts, major: u32) -> Vec<Check> {
    let role = &facts.role;
    let mut checks = Vec::new();
    let local = facts.data_directory.is_some();
    let functions = if major >= 15 {
        "pg_backup_start(text, boolean), pg_backup_stop(boolean), pg_switch_wal()"
    } else {
        "pg_start_backup(text, boolean, boolean), pg_stop_backup(boolean, boolean), pg_switch_wal()"
    };
    if local && !server.may_back_up {
        let fix = format!("in the database that the role connects to: GRANT EXECUTE ON FUNCTION {functions} TO \"{role}\"");
        checks.push(fail("privileges", name, format!("{role} may not begin and end a backup"), fix));
    }
    if !server.monitor {
        checks.push(fail(
            "privileges",
            name,
            format!("{role} may not read settings and control data"),
            format!("GRANT pg_monitor TO \"{role}\""),
        ));
    }
    let archives = server.archive_mode != "off";
    if local && !archives && !server.in_recovery && !server.replication {
        let fix = format!("ALTER ROLE \"{role}\" REPLICATION; better, archive: archive_mode = on");
        checks.push(fail(
            "privileges",
            name,
            format!("nobody archives WAL, and {role} may not keep it by a slot while a backup runs"),
            fix,
        ));
    }
    if checks.is_empty() {
        checks.push(ok("privileges", name, if local { "a backup may be taken" } else { "the server may be watched" }));
    }
    checks.push(logical(name, server, facts, major));
    checks
}

fn logical(name: &str, server: &ServerFacts, facts: &Facts, major: u32) -> Check {
    let id = "logical_privileges";
    if server.superuser {
        return ok(id, name, "everything can be dumped");
    }
    let (may, fix) = match server.reads_all_data {
        Some(may) => (may, format!("GRANT pg_read_all_data TO \"{}\"", facts.role)),
        None => (
            false,
            format!(
                "PostgreSQL {major} has no pg_read_all_data: in each database GRANT SELECT ON ALL TABLES and ON ALL SEQUENCES, and USAGE on every schema, or dump as a superuser"
            ),
        ),
    };
    match (may, facts.logical) {
        (true, _) => ok(id, name, "all tables can be dumped; passwords of roles cannot, which takes a superuser"),
        (false, true) if server.reads_all_data.is_some() => {
            fail(id, name, format!("{} may not read all tables, and logical backups are scheduled", facts.role), fix)
        }
        (false, true) => unknown(id, name, format!("whether {} may read all tables shows only when they are dumped", facts.role), fix),
        (false, false) => ok(id, name, format!("not needed: no logical backups are scheduled. They would take: {fix}")),
    }
}

fn archiving(name: &str, server: &ServerFacts, facts: &Facts) -> Check {
    let id = "archiving";
    let fix =
        "archive_mode = on (takes a restart), and archive_command = 'pgtend wal push --socket … \"%p\"': the agent's log says the socket";
    if let Some(segment) = &server.failing {
        return fail(
            id,
            name,
            format!("archive_command fails for {segment}: PostgreSQL keeps all WAL until its disk is full"),
            "`pgtend wal status` and the server's log say why",
        );
    }
    let by_slot = facts.streaming.as_ref().is_some_and(|told| told.state == StreamState::Streaming && told.slot.is_some());
    match server.archive_mode.as_str() {
        "off" if server.in_recovery => ok(id, name, "a standby: its primary archives"),
        "off" if by_slot => ok(id, name, "archive_mode is off: streaming brings the WAL, which a slot keeps until then"),
        "off" => warn(id, name, "archive_mode is off: a backup can be restored, but not rolled forward to any moment after it", fix),
        _ if facts.data_directory.is_none() => ok(id, name, format!("archive_command is set: {}", server.archiver)),
        _ if server.archiver.is_empty() || server.archiver == "(disabled)" => {
            fail(id, name, "archive_mode is on and archive_command is empty: PostgreSQL keeps all WAL until its disk is full", fix)
        }
        _ if by_slot => ok(id, name, "another tool archives; for pgtend, a slot keeps the WAL and streaming brings it"),
        _ if !server.archiver.contains("wal push") => warn(id, name, format!("archive_command is not pgtend's: {}", server.archiver), fix),
        mode => ok(id, name, format!("archive_mode is {mode}, and WAL is handed to pgtend")),
    }
}

/// What would be lost with the machine, where streaming is wanted or was.
fn streaming(name: &str, facts: &Facts) -> Option<Check> {
    let id = "streaming";
    let told = facts.streaming.as_ref()?;
    let held = told.slot_held_bytes.map(|held| format!("; its slot keeps {}", bytes(held))).unwrap_or_default();
    let seconds = told.lag_seconds.map_or_else(|| "an unknown time".to_owned(), show_seconds);
    Some(match (told.state, &told.error) {
        (StreamState::Failing, Some(error)) => {
            let place = if error.place.is_empty() { String::new() } else { format!(" ({})", error.place) };
            fail(id, name, format!("WAL is not streamed: {}{place}{held}", error.what), error.hint.clone())
        }
        (StreamState::Off, Some(error)) => warn(id, name, error.what.clone(), error.hint.clone()),
        (StreamState::Standby, _) => ok(id, name, "a standby: its primary's WAL is streamed where the primary is"),
        (StreamState::Streaming, _) => ok(id, name, format!("what was written in the last {seconds} would be lost with the machine{held}")),
        _ => unknown(id, name, "streaming has not begun yet", "look again in a moment; `pgtend wal status` tells how it goes"),
    })
}

fn connections(name: &str, server: &ServerFacts, facts: &Facts) -> Check {
    let wanted = if facts.logical { 2 + facts.jobs } else { 2 };
    let free = server.connections.saturating_sub(server.used_connections);
    let found = format!("{free} of {} connections are free, and a backup takes {wanted}", server.connections);
    if free < wanted {
        let fix =
            "fewer connections (a pooler), a larger max_connections, or a limit for the role that uses them: ALTER ROLE … CONNECTION LIMIT";
        return fail("connections", name, found, fix);
    }
    if free * 10 < server.connections {
        return warn("connections", name, found, "see who holds them: `pgtend connections list`");
    }
    ok("connections", name, found)
}

/// Clocks that differ spoil times of recovery, leases and signatures.
pub fn clock(id: &str, subject: &str, whose: &str, ahead: SignedDuration) -> Check {
    let side = if ahead.is_negative() { "behind" } else { "ahead" };
    if ahead.abs() <= CLOCKS_DIFFER {
        return ok(
            id,
            subject,
            format!("{whose} is within {} of this machine's", time(SignedDuration::from_secs(ahead.abs().as_secs() + 1))),
        );
    }
    let found = format!("{whose} is {} {side} of this machine's", time(ahead));
    let fix =
        "run NTP on both (chrony, systemd-timesyncd): S3 refuses requests that are 15 minutes off, and times of recovery are the server's";
    if ahead.abs() > SignedDuration::from_mins(10) { fail(id, subject, found, fix) } else { warn(id, subject, found, fix) }
}
