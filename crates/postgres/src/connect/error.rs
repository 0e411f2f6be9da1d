//! What an error of the network, the driver or the server means to a person.

use super::tls;
use pgtend_model::error::{Error, Kind, Retry};
use pgtend_model::sample::{Reason, Unknown};
use std::error::Error as _;
use std::io;
use std::time::Duration;
use tokio_postgres::error::DbError;

/// The error as a person reads it.
pub fn classify(error: &tokio_postgres::Error) -> Error {
    if let Some(answer) = error.as_db_error() {
        return from_server(answer);
    }
    if let Some(cause) = error.source().and_then(|source| source.downcast_ref::<io::Error>()) {
        return tls::explain(cause).unwrap_or_else(|| went_away(&cause.to_string()));
    }
    if error.is_closed() {
        return went_away("it closed the connection");
    }
    from_driver(error)
}

/// Why a query gave nothing.
pub fn unknown(error: &tokio_postgres::Error) -> Unknown {
    let explained = classify(error);
    let Some(answer) = error.as_db_error() else {
        let reason = if explained.kind == Kind::Unreachable { Reason::Unreachable } else { Reason::Failed };
        return Unknown::new(reason, explained.what);
    };
    let reason = match answer.code().code() {
        "42501" => Reason::Privilege,
        "55P03" => Reason::Lock,
        "57014" | "25P03" | "25P04" => Reason::Timeout,
        "42P01" | "42883" | "3F000" => Reason::Extension,
        // pg_stat_statements that was created but not preloaded, for one.
        "55000" if answer.message().contains("shared_preload_libraries") => Reason::Extension,
        _ if explained.kind == Kind::Unreachable => Reason::Unreachable,
        _ => Reason::Failed,
    };
    let advice = explained.hint;
    Unknown::new(reason, if advice.is_empty() { explained.what } else { format!("{}; {advice}", explained.what) })
}

fn from_server(answer: &DbError) -> Error {
    let (kind, hint) = meaning(answer);
    let error = Error::new(kind, format!("{} (SQLSTATE {})", answer.message(), answer.code().code()));
    match (hint, answer.hint()) {
        ("", Some(hint)) => error.hint(hint),
        ("", None) => error,
        (hint, _) => error.hint(hint),
    }
}

/// The kind of a server's error, and what to do about it.
fn meaning(answer: &DbError) -> (Kind, &'static str) {
    match answer.code().code() {
        "57P03" => (Kind::Rejecting, "it answers as soon as it has started or recovered; its log says how far it is"),
        "53300" => (Kind::Rejecting, "end idle sessions, put a pooler in front, or raise max_connections (needs a restart)"),
        "28P01" => (Kind::Authentication, "give the password by PGPASSWORD or ~/.pgpass; \\password in psql sets a new one"),
        "28000" => (Kind::Authentication, no_entry(answer)),
        "42501" => (Kind::Privilege, "grant pg_monitor to the role, or the privilege that is named"),
        "57014" => (Kind::Timeout, "the server was too slow for statement_timeout, or somebody cancelled the query"),
        "55P03" => (Kind::Timeout, "another session holds a lock for longer than lock_timeout"),
        "25P03" | "25P04" => (Kind::Timeout, ""),
        "3D000" => (Kind::NotFound, "psql -l lists the databases"),
        "42P01" | "42883" | "42704" | "3F000" | "42703" => (Kind::NotFound, ""),
        "0A000" => (Kind::Unsupported, ""),
        "57P01" | "57P02" | "57P05" => (Kind::Unreachable, ""),
        "40001" | "40P01" | "55006" | "25006" => (Kind::Conflict, ""),
        _ => (Kind::Server, ""),
    }
}

/// 28000 has several causes; the routine tells them apart in every language.
fn no_entry(answer: &DbError) -> &'static str {
    match answer.routine() {
        Some("ClientAuthentication") => {
            "add a line for this host, user and database to pg_hba.conf and reload; sslmode decides whether a host or a hostssl line fits"
        }
        Some("InitializeSessionUserId") => "the role must exist and have LOGIN",
        _ => "pg_hba.conf and pg_ident.conf decide who may connect how",
    }
}

/// Errors that the driver found itself; it shows only their texts.
fn from_driver(error: &tokio_postgres::Error) -> Error {
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    match (error.to_string().as_str(), cause.as_str()) {
        (_, "password missing") => Error::new(Kind::Authentication, "the server asks for a password and none is given")
            .hint("give it by PGPASSWORD, a line in ~/.pgpass, or passfile=FILE"),
        ("authentication error", "server did not use channel binding") => {
            Error::new(Kind::Authentication, "channel_binding=require, but the server did not bind to the channel")
                .hint("it needs TLS and scram-sha-256; a certificate signed with Ed25519 or RSA-PSS cannot be bound to")
        }
        ("authentication error", cause) => Error::new(Kind::Authentication, format!("the server cannot be authenticated with: {cause}"))
            .hint("pgtend knows scram-sha-256, md5, password, cert, peer and trust"),
        (what, "") => Error::new(Kind::Internal, what),
        (what, cause) => Error::new(Kind::Internal, format!("{what}: {cause}")),
    }
}

fn went_away(why: &str) -> Error {
    Error::new(Kind::Unreachable, format!("the connection to the server is gone: {why}"))
        .hint("the server's log says whether it stopped, crashed or ended the session")
}

/// The error for a host whose name means nothing.
pub(super) fn unresolved(name: &str, cause: &io::Error) -> Error {
    Error::new(Kind::Unreachable, format!("the host name \"{name}\" cannot be resolved: {cause}"))
        .hint("compare the name with /etc/hosts and DNS; hostaddr takes an address")
}

/// The error for a socket that could not be connected.
pub(super) fn not_connected(is_unix: bool, cause: &io::Error) -> Error {
    use io::ErrorKind::{ConnectionRefused, NotFound, PermissionDenied};
    match (cause.kind(), is_unix) {
        (NotFound, true) => Error::new(Kind::Unreachable, "no server has its socket there")
            .hint("is PostgreSQL running, and are unix_socket_directories and port the ones given here?"),
        (ConnectionRefused, true) => Error::new(Kind::Unreachable, "no server listens on this socket any more")
            .hint("PostgreSQL left its socket behind when it was killed: start it again"),
        (PermissionDenied, true) => Error::new(Kind::Unreachable, "this user may not use the socket")
            .hint("unix_socket_permissions and the directory's mode decide who may")
            .retry(Retry::Never),
        (ConnectionRefused, false) => Error::new(Kind::Unreachable, "nothing listens there")
            .hint("is PostgreSQL running, and do listen_addresses and port include this address?"),
        _ => Error::new(Kind::Unreachable, format!("the server cannot be reached: {cause}"))
            .hint("check the address, the routes and the firewalls between here and there"),
    }
}

/// The error for a host that does not answer at all.
pub(super) fn no_answer(within: Duration) -> Error {
    Error::new(Kind::Unreachable, format!("nothing answers within {within:?}"))
        .hint("check the address and the firewalls between here and there")
}

/// The error for a server that accepts the socket and then says nothing.
pub(super) fn silent(within: Duration) -> Error {
    Error::new(Kind::Timeout, format!("the server accepts the connection but says nothing within {within:?}"))
        .hint("its processes may be stopped (SIGSTOP) or starved, or something else than PostgreSQL listens there")
}

/// The error for an I/O error before the server has said anything.
pub(super) fn broken(cause: &io::Error) -> Error {
    tls::explain(cause).unwrap_or_else(|| match cause.kind() {
        io::ErrorKind::UnexpectedEof => Error::new(Kind::Unreachable, "the server closes the connection without a word")
            .hint("it is overloaded or shutting down, or something else than PostgreSQL listens there"),
        _ => went_away(&cause.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_say_what_to_check() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert!(not_connected(false, &refused).hint.contains("listen_addresses"));
        assert!(not_connected(true, &refused).what.contains("any more"));
        let missing = io::Error::from(io::ErrorKind::NotFound);
        assert!(not_connected(true, &missing).hint.contains("unix_socket_directories"));
        assert_eq!(no_answer(Duration::from_secs(5)).what, "nothing answers within 5s");
    }
}
