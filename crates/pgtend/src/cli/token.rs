//! `pgtend token`: makes, lists and revokes the API's bearer tokens.

use super::output::{self, Format, Table, Tabular, print};
use super::{Global, source};
use crate::api::tokens::{MadeToken, NewToken, PATH, TokenInfo, TokenList};
use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use pgtend_model::config::api::Role;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::units::duration;
use std::time::Duration;

/// Makes, lists and revokes tokens for the API
///
/// Needs the agent and the role admin: over its Unix socket as root or as the agent's user, or with a token of that role.
#[derive(Debug, Args)]
pub(super) struct Token {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Create(Create),
    List(List),
    Revoke(Revoke),
}

/// Makes a token and prints it; it is shown this once
#[derive(Debug, Args)]
struct Create {
    /// What to call it: up to 63 letters, digits, `.`, `_`, `-` and `@`
    #[arg(long)]
    name: String,
    /// What its bearer may do: see everything, end statements and sessions too, or everything
    #[arg(long, value_enum)]
    role: RoleName,
    /// When it ends: 90d, 12h, … [default: never]
    #[arg(long, value_name = "DURATION", value_parser = |text: &str| duration(text).map_err(|error| error.what))]
    expires: Option<Duration>,
}

/// Lists the tokens there are
#[derive(Debug, Args)]
struct List {}

/// Revokes a token; from then on it opens nothing
#[derive(Debug, Args)]
struct Revoke {
    /// Its name
    name: String,
}

/// The roles, as words of the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum RoleName {
    Viewer,
    Operator,
    Admin,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Viewer => Self::Viewer,
            RoleName::Operator => Self::Operator,
            RoleName::Admin => Self::Admin,
        }
    }
}

impl Token {
    pub(super) async fn run(&self, global: &Global) -> Result<u8> {
        if global.connection.is_some() {
            return Err(Error::new(Kind::Usage, "tokens are the agent's, not PostgreSQL's").hint("leave --connection out"));
        }
        match &self.command {
            Command::Create(command) => command.run(global).await,
            Command::List(_) => list(global).await,
            Command::Revoke(command) => command.run(global).await,
        }
    }
}

impl Create {
    async fn run(&self, global: &Global) -> Result<u8> {
        let ends =
            |duration: Duration| Timestamp::now().checked_add(duration).map_err(|_| Error::new(Kind::Usage, "--expires is too far away"));
        let new = NewToken { name: self.name.clone(), role: self.role.into(), expires: self.expires.map(ends).transpose()? };
        let made: MadeToken = source::agent(global)?.post(PATH, None, &new).await?;
        if global.format == Format::Table {
            let TokenInfo { name, role, .. } = &made.token;
            output::tell(&format!("Token {name} with the role {role}. It is not shown again; send it as `Authorization: Bearer TOKEN`:"));
            output::write(&format!("{}\n", made.secret))?;
        } else {
            print(&made, global.format)?;
        }
        Ok(0)
    }
}

async fn list(global: &Global) -> Result<u8> {
    let tokens: TokenList = source::agent(global)?.get(PATH).await?;
    print(&tokens, global.format)?;
    Ok(0)
}

impl Revoke {
    async fn run(&self, global: &Global) -> Result<u8> {
        let revoked: TokenInfo = source::agent(global)?.delete(PATH, &self.name).await?;
        match global.format {
            Format::Table => output::tell(&format!("Token {} is revoked and opens nothing any more.", revoked.name)),
            format => print(&TokenList { tokens: vec![revoked] }, format)?,
        }
        Ok(0)
    }
}

impl Tabular for TokenList {
    fn tables(&self) -> Vec<Table> {
        let mut table = Table::new("", &["name", "role", "created", "by", "expires", "last used"]).or("there are no tokens");
        for token in &self.tokens {
            let when = |at: Option<Timestamp>| at.map_or_else(|| "never".to_owned(), |at| format!("{at:.0}"));
            let expires = if token.valid { when(token.expires) } else { "expired".to_owned() };
            let created = when(Some(token.created));
            table.push([token.name.clone(), token.role.to_string(), created, token.created_by.clone(), expires, when(token.last_used)]);
        }
        vec![table]
    }
}

impl Tabular for MadeToken {
    fn tables(&self) -> Vec<Table> {
        let mut table = Table::new("", &["name", "role", "secret"]);
        table.push([self.token.name.clone(), self.token.role.to_string(), self.secret.clone()]);
        vec![table]
    }
}
