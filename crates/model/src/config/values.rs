//! The small types that keys have: where to listen, and which of several.

use super::secret::Secrets;
use super::setting::{At, Node, Setting};
use core::net::SocketAddr;
use std::fmt;

use toml::de::DeValue;

/// Where to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listen {
    /// Nowhere.
    Off,
    /// At an address; port 0 takes a free one.
    At(SocketAddr),
}

impl Listen {
    /// The address, unless it is off.
    pub fn address(self) -> Option<SocketAddr> {
        match self {
            Self::Off => None,
            Self::At(address) => Some(address),
        }
    }

    /// Whether other machines can reach it.
    pub fn is_public(self) -> bool {
        self.address().is_some_and(|address| !address.ip().is_loopback())
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::At(address) => write!(f, "{address}"),
        }
    }
}

impl Setting for Listen {
    const TYPE: &'static str = "`ADDRESS:PORT` or `off`";

    fn read(node: &Node<'_>, at: &At<'_>) -> Option<Self> {
        let text = String::read(node, at)?;
        if text == "off" {
            return Some(Self::Off);
        }
        if let Ok(address) = text.parse() {
            return Some(Self::At(address));
        }
        let hint = match text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?))) {
            Some(("localhost", port)) => format!("write \"127.0.0.1:{port}\""),
            Some(("" | "*", port)) => {
                format!("write \"0.0.0.0:{port}\" for every interface, or \"127.0.0.1:{port}\" for this machine only")
            }
            _ => "write an IP address and a port such as \"127.0.0.1:9187\" or \"[::1]:9187\", or \"off\"".to_owned(),
        };
        at.wrong(format!("{} cannot be \"{text}\"", at.path), hint);
        None
    }

    fn show(&self, _: &str, _: Secrets) -> Option<toml::Value> {
        Some(self.to_string().into())
    }
}

/// Which of several things that have names: all, or those listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// All there are.
    All,
    /// These.
    Only(Vec<String>),
}

impl Selection {
    /// Whether it includes a name.
    pub fn includes(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.iter().any(|listed| listed == name),
        }
    }
}

impl Setting for Selection {
    const TYPE: &'static str = "`\"all\"` or a list of names";

    fn read(node: &Node<'_>, at: &At<'_>) -> Option<Self> {
        match node.get_ref() {
            DeValue::String(text) if text == "all" => Some(Self::All),
            DeValue::String(text) => {
                at.wrong(format!("{} cannot be \"{text}\"", at.path), format!("write \"all\" or a list: [\"{text}\"]"));
                None
            }
            DeValue::Array(names) if names.is_empty() => {
                at.wrong(format!("{} is empty", at.path), "write \"all\", or at least one name");
                None
            }
            DeValue::Array(_) => Vec::read(node, at).map(Self::Only),
            _ => {
                at.wrong_type("\"all\" or a list of names", node);
                None
            }
        }
    }

    fn show(&self, unit: &str, secrets: Secrets) -> Option<toml::Value> {
        match self {
            Self::All => Some("all".into()),
            Self::Only(names) => names.show(unit, secrets),
        }
    }
}
