//! `[[files]]`: trees of files that are none of PostgreSQL's, in the same repositories as everything else.

use super::section::{Section, section};
use std::path::PathBuf;

section! {
    /// A tree of files of this host that is backed up into every `[[backup.repository]]`. `pgtend backup run --files NAME` does so whatever the schedule says.
    pub struct Files, checked by check_files {
        /// What it is called: on the command line as `--files`. Letters, digits, `.`, `_` and `-`.
        name: String = required, restart;
        /// Directories and files, absolute. One that is not there makes the backup fail.
        paths: Vec<PathBuf> = required, restart;
        /// Patterns, as .gitignore has them, of the files that alone are taken. All without any.
        include: Vec<String> = "[]", restart;
        /// Patterns, as .gitignore has them, of what is left out: `*.tmp`, `/var/www/cache/`, `!keep.tmp`.
        exclude: Vec<String> = "[]", restart;
        /// Whether file systems that are mounted below the paths stay out.
        one_file_system: bool = "false", restart;
        /// When it is backed up, as cron writes it, in the time zone of this machine. `off`: by hand only.
        schedule: String = "'30 3 * * *'", restart;
        /// The newest backups that stay, in each repository, whatever their age.
        keep_count: u32 = "2" in "1 to 10000", restart;
        /// Those of the last so many days stay.
        keep_days: u32 as "days" = "7" in "0 to 36500", restart;
        /// The last one of each of so many weeks stays.
        keep_weekly: u32 = "0" in "0 to 10000", restart;
        /// The last one of each of so many months stays.
        keep_monthly: u32 = "0" in "0 to 10000", restart;
        /// The last one of each of so many years stays.
        keep_yearly: u32 = "0" in "0 to 1000", restart;
    }
}

fn check_files(files: &mut Files, section: &Section<'_>) {
    let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if files.name.is_empty() || files.name.len() > 63 || !files.name.chars().all(legal) {
        let what = format!("\"{}\" cannot be the name of a file tree", files.name);
        section.reject("name", what, "use up to 63 letters, digits, '.', '_' and '-'");
    }
    if files.paths.is_empty() {
        section.reject("paths", "a file tree has no path", "write paths = [\"/etc\"]");
    }
    if let Some(path) = files.paths.iter().find(|path| path.parent().is_none()) {
        section.reject(
            "paths",
            format!("{} is the whole file system", path.display()),
            "name directories in it: [\"/etc\", \"/home\", \"/srv\"]",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    #[test]
    fn what_cannot_be_is_refused() {
        for (text, complaint) in [
            ("name = \"etc\"\npaths = []", "has no path"),
            ("name = \"etc\"\npaths = [\"/\"]", "the whole file system"),
            ("name = \"etc\"\npaths = [\"etc\"]", "not absolute"),
            ("name = \"a/b\"\npaths = [\"/etc\"]", "cannot be the name"),
            ("name = \"etc\"", "has no paths"),
        ] {
            let text = format!("[[server]]\nname = \"main\"\ndsn = \"\"\n[[files]]\n{text}");
            let told = parse(&text, "pgtend.toml").unwrap_err().to_string();
            assert!(told.contains(complaint), "{text}: {told}");
        }
    }

    #[test]
    fn no_server_is_called_as_a_file_tree_is_in_the_repository() {
        let told = parse("[[server]]\nname = \"files.etc\"\ndsn = \"\"", "pgtend.toml").unwrap_err().to_string();
        assert!(told.contains("file trees"), "{told}");
    }
}
