//! `[verify]`: when the pages of servers are read and their checksums compared.

use super::choice::choice;
use super::section::section;

section! {
    /// Verification of the servers that run beside this agent (those with a `data_directory`), on schedule. By hand: `pgtend verify`.
    pub struct Verify {
        /// When a server is verified, as cron writes it, in the time zone of this machine. `off`: by hand only.
        schedule: String = "'30 1 * * 0'", restart;
        /// How much is looked at on schedule.
        depth: VerifyDepth = "'pages'", restart;
        /// Threads that read.
        workers: usize = "1" in "1 to 64", restart;
        /// Bytes a second that are read from the server's disk at most, on schedule. 0: as fast as it goes.
        max_read_bytes_per_second: u64 as "bytes" = "'100MB'" in "0 to 1TB", restart;
    }
}

choice! {
    /// How much a verification on schedule looks at.
    pub enum VerifyDepth {
        /// Files and their lengths, and a sample of the pages.
        Quick = "quick",
        /// Every page.
        Pages = "pages",
        /// Every page, and indexes and tables by amcheck.
        Full = "full",
    }
}

impl From<VerifyDepth> for crate::verify::Depth {
    fn from(depth: VerifyDepth) -> Self {
        match depth {
            VerifyDepth::Quick => Self::Quick,
            VerifyDepth::Pages => Self::Pages,
            VerifyDepth::Full => Self::Full,
        }
    }
}
