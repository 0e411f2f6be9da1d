//! Typed reading of parameter values. Empty counts as not given, as in libpq.

use super::parameters::Settings;
use pgtend_model::error::{Error, Kind, Result};
use std::str::FromStr;

/// The values that a parameter can have, by name.
pub type Choices<T> = &'static [(&'static str, T)];

/// Reads values out of settings.
pub trait Values {
    /// The text of a parameter, when there is any.
    fn text(&self, name: &str) -> Option<&str>;

    /// One of a few values.
    ///
    /// # Errors
    /// `Config` for any other.
    fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Result<Option<T>>;

    /// A number.
    ///
    /// # Errors
    /// `Config` for anything else.
    fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>>;

    /// `1` or `0`.
    ///
    /// # Errors
    /// `Config` for anything else.
    fn switch(&self, name: &str) -> Result<Option<bool>> {
        self.choice(name, &[("0", false), ("1", true)])
    }
}

impl Values for Settings {
    fn text(&self, name: &str) -> Option<&str> {
        self.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Result<Option<T>> {
        let Some(value) = self.text(name) else { return Ok(None) };
        match choices.iter().find(|(choice, _)| *choice == value) {
            Some((_, chosen)) => Ok(Some(*chosen)),
            None => {
                let names: Vec<&str> = choices.iter().map(|(choice, _)| *choice).collect();
                Err(wrong(name, value).hint(format!("it can be {}", names.join(", "))))
            }
        }
    }

    fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>> {
        let Some(value) = self.text(name) else { return Ok(None) };
        value.trim().parse().map(Some).map_err(|_| unreadable(name, "a whole number"))
    }
}

/// The error for a value that a parameter cannot have. The value is shown only where it is a plain word: after a slip in a
/// connection string it may be a piece of the password.
fn wrong(name: &str, value: &str) -> Error {
    let plain = value.len() <= 16 && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    let shown = if plain { format!("\"{value}\"") } else { "what it is".to_owned() };
    Error::new(Kind::Config, format!("{name} cannot be {shown}"))
}

/// The error for a value that cannot be read as what it has to be.
pub fn unreadable(name: &str, wanted: &str) -> Error {
    Error::new(Kind::Config, format!("{name} is not {wanted}"))
        .hint("values with spaces are quoted; in a URI, /, @, : and % within a user name or password are written %2F, %40, %3A and %25")
}
