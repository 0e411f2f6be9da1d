//! The configuration of the agent over the one PostgreSQL of `pgtend up`.

use super::archiving;
use super::ground::Ground;
use super::keeper::Place;
use crate::runtime_dir::RuntimeDir;
use pgtend_model::config::{Dsn, Effective, Listen, Server};
use pgtend_model::error::Result;
use pgtend_postgres::process::passfile::AGENT;
use std::path::Path;

/// What the one server is called.
pub const SERVER: &str = "main";

/// The agent's configuration: everything at its default but where things are.
///
/// # Errors
/// When the directory of the agent's socket cannot be had.
pub fn effective(ground: &Ground, place: &Place, api: Listen, metrics: Listen) -> Result<Effective> {
    let mut config = Effective::default();
    let mut server = Server::new(SERVER, dsn(place, &ground.layout.pgpass()));
    server.data_directory = Some(ground.layout.data());
    config.server = vec![server];
    config.api.listen = api;
    config.metrics.listen = metrics;
    config.agent.state_directory = ground.layout.state();
    config.agent.runtime_directory = RuntimeDir::from_process().create()?;
    // Several directories can be looked after on one machine, and each agent needs a name of its own.
    config.api.socket = Some(config.agent.runtime_directory.join(format!("up-{}.sock", ground.marker.id)));
    config.backup.repository = vec![archiving::repository(&ground.layout)];
    config.backup.scratch_directory = Some(ground.layout.scratch());
    config.backup.wal_socket = Some(ground.layout.wal_socket());
    // Where another tool archives it would take a slot, which nobody asked for.
    config.backup.stream_wal = archiving::comes_here(&ground.layout.data());
    Ok(config)
}

/// Over the Unix socket, which nothing in the network can take away.
fn dsn(place: &Place, pgpass: &Path) -> Dsn {
    let host = place.socket_directory.as_ref().map_or_else(|| "127.0.0.1".to_owned(), |directory| directory.display().to_string());
    Dsn::new(format!(
        "host={} port={} user={AGENT} dbname=postgres passfile={}",
        quoted(&host),
        place.port,
        quoted(&pgpass.display().to_string())
    ))
}

/// A value of a connection string.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted() {
        let place = Place { port: 5432, socket_directory: Some("/srv/it's here/run".into()) };
        let dsn = dsn(&place, Path::new("/srv/pgpass"));
        assert_eq!(dsn.expose(), "host='/srv/it\\'s here/run' port=5432 user=pgtend dbname=postgres passfile='/srv/pgpass'");
    }
}
