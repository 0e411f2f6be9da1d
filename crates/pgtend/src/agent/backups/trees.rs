//! Backups of file trees on schedule and when somebody asks.

use super::{BackupKind, Backups, Configured, Target};
use crate::backup::tree::take::{Take, Tree};
use crate::backup::{Progress, cron};
use crate::blocking::blocking;
use pgtend_model::backup::BackupHead;
use pgtend_model::backup::tree::owner;
use pgtend_model::config::Files;
use pgtend_model::error::{Error, Kind, Result};

impl Backups {
    /// Takes backups of all file trees on schedule, until the agent ends.
    pub(super) fn look_after_trees(&self) {
        for files in self.0.files.iter().filter(|files| files.schedule != cron::OFF) {
            for configured in self.0.config.repository.clone() {
                let (backups, files, ends) = (self.clone(), files.clone(), self.0.tasks.token());
                let name = format!("backups of the files {} in {}", files.name, configured.name);
                self.0.tasks.spawn(name, async move {
                    while cron::turn("files.schedule", &files.schedule, &ends).await {
                        if backups.opened(&configured, &ends).await {
                            backups.take_tree(&files, &configured).await;
                        }
                    }
                });
            }
        }
    }

    /// Begins a backup of a file tree that somebody asked for.
    ///
    /// # Errors
    /// `NotFound` when there is none of this name; `Conflict` when one goes on already.
    pub fn run_tree(&self, name: &str, repository: Option<&str>) -> Result<()> {
        let Some(files) = self.0.files.iter().find(|files| files.name == name) else {
            let names: Vec<&str> = self.0.files.iter().map(|files| files.name.as_str()).collect();
            let hint = match names.is_empty() {
                true => "add [[files]] with name and paths to the agent's configuration".to_owned(),
                false => format!("there are: {}", names.join(", ")),
            };
            return Err(Error::new(Kind::NotFound, format!("no file tree is named \"{name}\"")).hint(hint));
        };
        for configured in self.configured(repository)? {
            self.is_free(&target(files, &configured))?;
            let (backups, files) = (self.clone(), files.clone());
            self.0.tasks.spawn(format!("backup of the files {name}"), async move {
                backups.take_tree(&files, &configured).await;
            });
        }
        Ok(())
    }

    async fn take_tree(&self, files: &Files, configured: &Configured) {
        let target = target(files, configured);
        let Some(progress) = self.begin(&target) else { return };
        let outcome = self.take_files(files, configured, &progress).await;
        self.over(configured, &target, outcome).await;
    }

    async fn take_files(&self, files: &Files, configured: &Configured, progress: &Progress) -> Result<BackupHead> {
        let take = Take {
            name: files.name.clone(),
            tree: Tree {
                paths: files.paths.clone(),
                include: files.include.clone(),
                exclude: files.exclude.clone(),
                one_file_system: files.one_file_system,
            },
            repository: self.repository(configured).await?,
            workers: self.0.config.workers,
            nice: self.nice(),
            options: self.options(),
        };
        let seen = progress.clone();
        self.unless_the_agent_ends(progress, blocking(move || take.run(&seen))).await
    }
}

fn target(files: &Files, configured: &Configured) -> Target {
    Target { server: owner(&files.name), repository: configured.name.clone(), kind: BackupKind::Files }
}
