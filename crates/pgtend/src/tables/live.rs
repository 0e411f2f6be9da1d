//! The live server that tables are brought to.

use crate::psql::Programs;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::restore_table::Destination;
use pgtend_model::restore_table::statements::literal;
use pgtend_postgres::connect::Target;
use pgtend_postgres::process::clients::clients;
use pgtend_postgres::process::os_user::OsUser;
use std::path::Path;

/// It, as PostgreSQL's programs reach it.
#[derive(Debug, Clone)]
pub struct Live {
    pub(super) programs: Programs,
    /// Where it is, for people.
    pub address: String,
    /// As whom.
    pub role: String,
}

impl Live {
    /// At this target. On a Unix socket root takes on the role's user of the operating system where there is one and no password was given: the server may
    /// want to see that.
    ///
    /// # Errors
    /// `NotFound` when there are no client programs here.
    pub fn new(target: &Target, bindir: Option<&Path>) -> Result<Self> {
        let found = clients(bindir).into_iter().chain(clients(None)).find(|clients| clients.program("psql").exists());
        let clients = found.ok_or_else(|| {
            Error::new(Kind::NotFound, "psql is not installed here")
                .hint("install the package of PostgreSQL's client programs (postgresql-client), or name where they are with --bindir")
        })?;
        let as_user = rustix::process::geteuid().is_root() && target.host().starts_with('/') && !target.has_password();
        let user = as_user.then(|| OsUser::choose(Some(target.user())).ok()).flatten();
        Ok(Self { programs: Programs::new(&clients, target, user), address: target.address(), role: target.user().to_owned() })
    }

    /// Whether anything can be put there.
    ///
    /// # Errors
    /// `Conflict` on a standby, or when the schema is there already; `Privilege` when the role may not make what is wanted.
    pub(super) fn check(&self, destination: &Destination) -> Result<()> {
        let sql = "select pg_catalog.pg_is_in_recovery(), pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'), \
                   (select rolcreatedb or rolsuper from pg_catalog.pg_roles where rolname = current_user)";
        let row = self.programs.rows(sql)?.into_iter().next().unwrap_or_default();
        let is = |column: usize| row.get(column).is_some_and(|value| value == "t");
        if is(0) {
            return Err(Error::new(Kind::Conflict, "this server is a standby: nothing can be written to it")
                .at(self.address.clone())
                .hint("name its primary with --connection"));
        }
        let may = match destination {
            Destination::Schema(_) | Destination::Place { .. } => is(1),
            Destination::Database(name) => is(2) || self.has_database(name)?,
            Destination::Rows { .. } => true,
        };
        if !may {
            return Err(Error::new(Kind::Privilege, format!("the role {} may not create what is needed here", self.role))
                .at(self.address.clone())
                .hint("connect as a superuser, or as the owner of the database: --connection \"… user=NAME\""));
        }
        Ok(())
    }

    /// Whether a dump of that version can be read here.
    ///
    /// # Errors
    /// `Unsupported` when this server is older.
    pub(super) fn fits(&self, version: u32) -> Result<()> {
        let here: u32 = self.programs.value("select pg_catalog.current_setting('server_version_num')")?.parse().unwrap_or(0);
        if here / 10_000 < version / 10_000 {
            return Err(Error::new(
                Kind::Unsupported,
                format!("the backup is of PostgreSQL {}, and this server is {}", version / 10_000, here / 10_000),
            )
            .at(self.address.clone())
            .hint("tables go to the same or a later version"));
        }
        Ok(())
    }

    pub(super) fn has_database(&self, name: &str) -> Result<bool> {
        Ok(self.programs.value(&format!("select true from pg_catalog.pg_database where datname = {}", literal(name)))? == "t")
    }
}
