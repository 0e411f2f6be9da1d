//! Roles, from `pg_roles`.

use super::Text;
use super::row::rows;
use jiff::Timestamp;

rows! {
    /// One role.
    pub struct Role {
        /// Object identifier.
        label oid: i64;
        /// Name.
        label rolname: Text;
        /// Whether it may connect.
        info can_login: bool;
        /// Whether it is a superuser.
        info is_superuser: bool;
        /// Whether it may replicate.
        info can_replicate: bool;
        /// Whether row security does not apply to it.
        info bypasses_rls: bool;
        /// Whether it may create databases.
        info can_create_databases: bool;
        /// Whether it may create roles.
        info can_create_roles: bool;
        /// Connections allowed; -1 for no limit.
        gauge connection_limit: i64, "connections";
        /// Until when its password is valid; none for ever.
        info valid_until: Option<Timestamp>;
    }
}
