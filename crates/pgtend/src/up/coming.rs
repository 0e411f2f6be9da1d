//! A PostgreSQL on its way to accepting connections.

use crate::cli::output;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::postmaster::Phase;
use pgtend_postgres::process::running::Postmaster;
use pgtend_postgres::process::start::{Progress, Starting};
use std::time::{Duration, Instant};

const LOOK_EVERY: Duration = Duration::from_millis(20);
const SAY_EVERY: Duration = Duration::from_secs(10);

/// It was started just now, or was found running.
#[derive(Debug)]
pub enum Coming {
    /// By us.
    Started(Box<Starting>),
    /// By somebody before us.
    Adopted(Postmaster),
    /// Handed out already.
    Gone,
}

impl Coming {
    /// The postmaster when it accepts connections. Recovery may take long; every ten seconds it is said that it goes on. May be called
    /// again when it was not waited for to the end.
    ///
    /// # Errors
    /// Why it ended instead.
    pub async fn ready(&mut self) -> Result<Postmaster> {
        let since = Instant::now();
        let mut said = since;
        loop {
            if let Some(postmaster) = self.look()? {
                return Ok(postmaster);
            }
            if said.elapsed() >= SAY_EVERY {
                said = Instant::now();
                output::notice(&format!(
                    "PostgreSQL is still starting after {} s; after a crash it replays its WAL first",
                    since.elapsed().as_secs()
                ));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn look(&mut self) -> Result<Option<Postmaster>> {
        match self {
            Self::Started(starting) => match starting.poll()? {
                Progress::Ready(postmaster) => {
                    *self = Self::Gone;
                    Ok(Some(postmaster))
                }
                Progress::Waiting => Ok(None),
            },
            Self::Adopted(postmaster) if !postmaster.is_alive() => {
                Err(Error::new(Kind::Conflict, format!("PostgreSQL, process {}, ended while it was taken up", postmaster.pid())))
            }
            Self::Adopted(postmaster) => match postmaster.phase() {
                Some(Phase::Ready | Phase::Standby) => match std::mem::replace(self, Self::Gone) {
                    Self::Adopted(postmaster) => Ok(Some(postmaster.renewed())),
                    _ => Ok(None),
                },
                _ => Ok(None),
            },
            Self::Gone => Err(Error::new(Kind::Internal, "this PostgreSQL was handed out already")),
        }
    }

    /// The postmaster as it is now, however far it has come; none when there is none.
    pub fn settle(self) -> Option<Postmaster> {
        match self {
            Self::Started(starting) => starting.into_postmaster(),
            Self::Adopted(postmaster) => Some(postmaster),
            Self::Gone => None,
        }
    }
}
