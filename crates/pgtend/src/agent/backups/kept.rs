//! What the repositories keep of a server: listed, annotated, and taken away.

use super::{Backups, Configured};
use crate::backup::expire;
use crate::blocking::blocking;
use pgtend_model::backup::annotation::Annotations;
use pgtend_model::backup::retention::{Policies, Policy};
use pgtend_model::backup::tree::name_of;
use pgtend_model::backup::{BackupHead, Label};
use pgtend_model::error::{Error, Result};
use std::collections::BTreeMap;

impl Backups {
    /// Takes away what the retention does not keep; with `dry_run` only tells it.
    ///
    /// # Errors
    /// What the repository says.
    pub async fn expire(&self, configured: &Configured, server: &str, dry_run: bool) -> Result<expire::Expired> {
        let repository = self.repository(configured).await?;
        let (policies, server) = (self.policies(configured, server), self.filed(server));
        blocking(move || expire::expire(&repository, &server, &policies, dry_run)).await
    }

    /// How long backups of a server, or of a file tree, stay in a repository.
    fn policies(&self, configured: &Configured, server: &str) -> Policies {
        let logical = &self.0.config.logical;
        let physical =
            policy(configured.keep_count, configured.keep_days, [configured.keep_weekly, configured.keep_monthly, configured.keep_yearly]);
        let tree = self.0.files.iter().find(|files| Some(files.name.as_str()) == name_of(server));
        Policies {
            logical: policy(logical.keep_count, logical.keep_days, [logical.keep_weekly, logical.keep_monthly, logical.keep_yearly]),
            files: tree.map_or_else(
                || physical.clone(),
                |tree| policy(tree.keep_count, tree.keep_days, [tree.keep_weekly, tree.keep_monthly, tree.keep_yearly]),
            ),
            physical,
        }
    }

    /// Takes one backup away.
    ///
    /// # Errors
    /// `NotFound` when there is none; what the repository says.
    pub async fn delete(&self, configured: &Configured, server: &str, label: Label) -> Result<()> {
        let repository = self.repository(configured).await?;
        let server = self.filed(server);
        blocking(move || expire::delete(&repository, &server, label)).await
    }

    /// The backups of a server in a repository.
    ///
    /// # Errors
    /// What the repository says.
    pub async fn list(&self, configured: &Configured, server: &str) -> Result<(Vec<BackupHead>, Vec<Error>)> {
        let repository = self.repository(configured).await?;
        let server = self.filed(server);
        blocking(move || repository.backups(&server)).await
    }

    /// What was written to the backups of a server.
    ///
    /// # Errors
    /// What the repository says.
    pub async fn annotations(&self, configured: &Configured, server: &str) -> Result<BTreeMap<Label, Annotations>> {
        let repository = self.repository(configured).await?;
        let server = self.filed(server);
        blocking(move || repository.annotations(&server)).await
    }
}

const fn policy(count: u32, days: u32, [weekly, monthly, yearly]: [u32; 3]) -> Policy {
    Policy { count: count as usize, days, weekly: weekly as usize, monthly: monthly as usize, yearly: yearly as usize }
}
