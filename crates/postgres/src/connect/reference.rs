//! The reference of connection parameters, written from the table by which they are read.

use super::parameters::{PARAMETERS, Support};
use std::fmt::Write;

const INTRODUCTION: &str = "\
# Connection parameters

A connection is described as for psql: by a URI (`postgresql://USER:PASSWORD@HOST:PORT/DATABASE?NAME=VALUE`, several hosts separated by
commas) or by `name=value` pairs, in `dsn` of a `[[server]]` or after `--connection`. What is not said there comes from the service file,
then from the environment, then from the defaults, with the meaning that [libpq](https://www.postgresql.org/docs/current/libpq-connect.html)
gives it: password files and their permissions, `sslmode` with root and client certificates, channel binding, `target_session_attrs`.
A name that does not exist is an error, and so is a parameter that cannot be honoured: nothing is silently weaker than it was meant.

Every session of pgtend sets, before it does anything else, so that no setting of the role or the database can take it away:
`statement_timeout`, `lock_timeout`, `idle_in_transaction_session_timeout`, `search_path = pg_catalog`, `jit = off`; and its transactions
are read-only. Behind a pooler that could not be kept: pgtend connects to PostgreSQL itself, and says so when a pooler answers.

Where pgtend differs from libpq:

- Without `host`, the sockets in `/var/run/postgresql` and `/tmp` are tried, in this order.
- `sslmode` `allow` and `prefer` try again with the other encryption after a failed TLS handshake or an error of class 28 (that is, of
  `pg_hba.conf` or of the credentials), not after any error: a server without a free slot is not asked twice.
- Connections to hosts that vanish are noticed after a minute (`keepalives_idle` 30, `keepalives_interval` 10, `keepalives_count` 3),
  not after the two hours of the kernel's default.
- `connect_timeout` 0, which is no limit for libpq, leaves the agent's own limit.
- A certificate of X.509 version 1 is accepted where it is not verified or is itself in `sslrootcert`; libpq also follows such a one to
  its authority.

| Parameter | Environment | Here |
|---|---|---|
";

/// The reference as a Markdown document.
pub fn reference() -> String {
    let mut text = INTRODUCTION.to_owned();
    for parameter in PARAMETERS {
        let variable = if parameter.variable.is_empty() { String::new() } else { format!("`{}`", parameter.variable) };
        let here = match parameter.support {
            Support::Honoured => "as in libpq".to_owned(),
            Support::Irrelevant => "makes no difference".to_owned(),
            Support::Only(values) => format!("only `{}`", values.join("`, `")),
            Support::Refused(why) => format!("refused: {why}"),
        };
        let _ = writeln!(text, "| `{}` | {variable} | {here} |", parameter.name);
    }
    text
}
