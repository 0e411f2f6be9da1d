//! Logical backups on schedule and when somebody asks.

use super::{BackupKind, Backups, Configured, Target, What};
use crate::agent::settings::Settings;
use crate::backup::logical::take::{How, Take};
use crate::backup::{Progress, cron};
use pgtend_model::backup::BackupHead;
use pgtend_model::error::Result;
use tokio_util::sync::CancellationToken;

impl Backups {
    /// Takes logical backups of a server on schedule, until it is no longer watched.
    pub(super) fn look_after_logical(&self, settings: &Settings, ends: &CancellationToken) {
        if self.0.config.logical.schedule == cron::OFF {
            return;
        }
        for configured in self.0.config.repository.clone() {
            let (backups, settings, ends) = (self.clone(), settings.clone(), ends.clone());
            let name = format!("logical backups of {} in {}", settings.server.name, configured.name);
            self.0.tasks.spawn(name, async move {
                let target = Target {
                    server: settings.server.in_repository().to_owned(),
                    repository: configured.name.clone(),
                    kind: BackupKind::Logical,
                };
                let what = What::Logical { databases: Vec::new(), exclude: Vec::new() };
                while cron::turn("backup.logical.schedule", &backups.0.config.logical.schedule, &ends).await {
                    if backups.opened(&configured, &ends).await {
                        backups.take(&settings, &configured, &target, &what).await;
                    }
                }
            });
        }
    }

    pub(super) async fn take_logical(
        &self,
        settings: &Settings,
        configured: &Configured,
        databases: &[String],
        exclude: &[String],
        progress: &Progress,
    ) -> Result<BackupHead> {
        let repository = self.repository(configured).await?;
        let config = &self.0.config.logical;
        let how = How {
            databases: if databases.is_empty() { config.databases.clone() } else { databases.to_vec() },
            exclude: [config.exclude.as_slice(), exclude].concat(),
            jobs: config.jobs,
            workers: self.0.config.workers,
            nice: self.nice(),
            options: self.options(),
            lock_wait: config.lock_wait_timeout,
            staging: config.staging_directory.clone().unwrap_or_else(|| self.0.state_directory.join("staging")),
            bindir: config.bindir.clone(),
            application_name: format!("{} logical backup", settings.server.application_name),
        };
        let take = Take { server: settings.server.in_repository().to_owned(), target: settings.target.clone(), repository, how };
        self.unless_the_agent_ends(progress, Box::pin(take.run(progress))).await
    }
}
