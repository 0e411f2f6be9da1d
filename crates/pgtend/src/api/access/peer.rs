//! Who is at the other end of a connection.

use nix::unistd::{Gid, Group, Uid, User, getgrouplist};
use pgtend_model::config::api::{Api as Config, Role};
use std::ffi::CString;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub(in crate::api) enum Peer {
    /// Somebody on the network.
    Remote(SocketAddr),
    /// Somebody on this host, over the Unix socket.
    Local(Arc<OsUser>),
    /// Nobody knows.
    Unknown,
}

impl Peer {
    /// Their address, if they have one.
    pub(in crate::api) fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Remote(address) => Some(address.ip()),
            Self::Local(_) | Self::Unknown => None,
        }
    }

    /// Whether they are on this host.
    pub(in crate::api) fn is_here(&self) -> bool {
        match self {
            Self::Remote(address) => address.ip().to_canonical().is_loopback(),
            Self::Local(_) => true,
            Self::Unknown => false,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remote(address) => write!(f, "{address}"),
            Self::Local(user) => write!(f, "{user}"),
            Self::Unknown => f.write_str("somebody"),
        }
    }
}

/// A user of the operating system, as the kernel vouches for it on a Unix socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::api) struct OsUser {
    uid: u32,
    name: Option<String>,
    groups: Vec<String>,
}

impl OsUser {
    /// The user with these numbers. The names come from the system's user database, which may be slow.
    pub(in crate::api) fn of(uid: u32, gid: u32) -> Self {
        let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
        let named = user.as_ref().and_then(|user| CString::new(user.name.as_str()).ok());
        let groups = named.and_then(|name| getgrouplist(&name, Gid::from_raw(gid)).ok()).unwrap_or_else(|| vec![Gid::from_raw(gid)]);
        let group_name = |gid: Gid| Group::from_gid(gid).ok().flatten().map(|group| group.name);
        Self { uid, name: user.map(|user| user.name), groups: groups.into_iter().filter_map(group_name).collect() }
    }

    /// What they may do: everything as root or as the agent's own user; otherwise the highest role that the configuration gives to
    /// them or to one of their groups, or to look.
    pub(super) fn role(&self, config: &Config) -> Role {
        if self.uid == 0 || self.uid == rustix::process::geteuid().as_raw() {
            return Role::Admin;
        }
        let is_meant = |name: &str| match name.strip_prefix('@') {
            Some(group) => self.groups.iter().any(|own| own == group),
            None => self.name.as_deref() == Some(name),
        };
        let given = config.socket_roles.iter().filter(|(name, _)| is_meant(name)).map(|(_, role)| *role);
        given.max().unwrap_or(Role::Viewer)
    }
}

impl fmt::Display for OsUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "local user {name}"),
            None => write!(f, "local user {}", self.uid),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgtend_model::config::Effective;

    #[test]
    fn roles_over_the_socket_come_from_user_and_groups() {
        let mut config = Effective::default().api;
        config.socket_roles = [("ann", Role::Operator), ("@dba", Role::Admin), ("@staff", Role::Viewer), ("dba", Role::Admin)]
            .map(|(name, role)| (name.to_owned(), role))
            .into();
        let user = |name: &str, groups: &[&str]| OsUser {
            uid: 54_321,
            name: Some(name.to_owned()),
            groups: groups.iter().map(ToString::to_string).collect(),
        };
        for (name, groups, role) in [
            ("ann", &[][..], Role::Operator),
            ("ann", &["staff"], Role::Operator),
            ("ann", &["staff", "dba"], Role::Admin),
            ("bob", &["staff"], Role::Viewer),
            ("bob", &[], Role::Viewer),
            ("bob", &["ann"], Role::Viewer),
        ] {
            assert_eq!(user(name, groups).role(&config), role, "{name} in {groups:?}");
        }
        assert_eq!(OsUser { uid: 0, name: None, groups: Vec::new() }.role(&config), Role::Admin);
        assert_eq!(OsUser::of(0, 0).to_string(), "local user root");
    }
}
