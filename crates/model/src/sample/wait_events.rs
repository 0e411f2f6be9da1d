//! What the wait events mean, from `pg_wait_events`.

use super::Text;
use super::row::rows;

rows! {
    /// One wait event that this server knows.
    pub struct WaitEvent {
        /// Its type.
        label wait_event_type: Text;
        /// Its name.
        label wait_event: Text;
        /// What it means, as PostgreSQL says it.
        info description: Text;
    }
}
