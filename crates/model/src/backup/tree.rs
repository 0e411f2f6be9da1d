//! File trees: what their backups are called, and when one is suspiciously small.

/// How names of file trees begin where a server's name would be; no server is called so.
pub const PREFIX: &str = "files.";

/// How a tree is called where a server's name would be.
pub fn owner(name: &str) -> String {
    format!("{PREFIX}{name}")
}

/// The tree's name, where that is one.
pub fn name_of(owner: &str) -> Option<&str> {
    owner.strip_prefix(PREFIX)
}

/// A warning when far fewer files are there than in the backup before: a file system that is not mounted is an empty directory.
pub fn shrunk(before: u64, now: u64) -> Option<String> {
    (before >= 20 && now * 2 < before)
        .then(|| format!("{now} files, and the backup before had {before}: is something not mounted, or was it removed?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_that_lost_half_of_its_files_is_looked_at() {
        assert_eq!(shrunk(1000, 500), None);
        assert_eq!(shrunk(5, 0), None);
        assert!(shrunk(1000, 0).unwrap().contains("not mounted"));
    }

    #[test]
    fn a_tree_is_no_server() {
        assert_eq!(name_of(&owner("etc")), Some("etc"));
        assert_eq!(name_of("main"), None);
    }
}
