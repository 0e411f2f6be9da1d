//! The command that installs PostgreSQL on this system, by what `/etc/os-release` says it is.

use std::collections::HashMap;

/// Gives the command for any major, or for this one.
type CommandFor = fn(Option<u16>) -> String;

/// The systems whose package manager is known, by the `ID` and `ID_LIKE` that they and their kin give themselves.
const SYSTEMS: &[(&[&str], CommandFor)] = &[
    (&["debian", "ubuntu"], |major| match major {
        Some(major) => {
            format!("apt-get install postgresql-{major} (from https://apt.postgresql.org where the distribution has another major)")
        }
        None => "apt-get install postgresql postgresql-contrib".into(),
    }),
    (&["fedora", "rhel", "centos"], |major| match major {
        Some(major) => format!("dnf install postgresql{major}-server postgresql{major}-contrib (from https://yum.postgresql.org)"),
        None => "dnf install postgresql-server postgresql-contrib".into(),
    }),
    (&["suse", "opensuse"], |major| {
        let major = major.map(|major| major.to_string()).unwrap_or_default();
        format!("zypper install postgresql{major}-server postgresql{major}-contrib")
    }),
    (&["alpine"], |major| {
        let major = major.map(|major| major.to_string()).unwrap_or_default();
        format!("apk add postgresql{major} postgresql{major}-contrib")
    }),
    (&["arch"], |major| match major {
        Some(major) => format!("pacman -S postgresql-old-upgrade (if that is {major}; Arch keeps the newest major and the one before)"),
        None => "pacman -S postgresql postgresql-libs".into(),
    }),
];

/// What to run to get PostgreSQL, or this major of it. `as_root` leaves `sudo` out.
pub(super) fn install_command(os_release: Option<&str>, major: Option<u16>, as_root: bool) -> String {
    if cfg!(target_os = "macos") {
        return format!("run `brew install postgresql@{}`", major.unwrap_or(18));
    }
    let sudo = if as_root { "" } else { "sudo " };
    match os_release.and_then(system) {
        Some(command) => {
            let command = command(major);
            match command.split_once(" (") {
                Some((command, remark)) => format!("run `{sudo}{command}` ({remark}"),
                None => format!("run `{sudo}{command}`"),
            }
        }
        None => format!(
            "install the server package of PostgreSQL {} (https://www.postgresql.org/download)",
            major.map_or_else(|| "13 to 18".into(), |major| major.to_string())
        ),
    }
}

fn system(os_release: &str) -> Option<CommandFor> {
    let values: HashMap<&str, &str> =
        os_release.lines().filter_map(|line| line.split_once('=')).map(|(name, value)| (name, value.trim_matches(['"', '\'']))).collect();
    let mut names = values.get("ID").into_iter().chain(values.get("ID_LIKE")).flat_map(|value| value.split_whitespace());
    names.find_map(|name| SYSTEMS.iter().find(|(ids, _)| ids.contains(&name)).map(|(_, command)| *command))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(os_release: &str, major: Option<u16>) -> String {
        install_command(Some(os_release), major, false)
    }

    #[test]
    fn each_family_has_its_command() {
        assert_eq!(command("NAME=x\nID=debian\n", None), "run `sudo apt-get install postgresql postgresql-contrib`");
        assert_eq!(command("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", None), "run `sudo apt-get install postgresql postgresql-contrib`");
        assert_eq!(
            command("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", None),
            "run `sudo dnf install postgresql-server postgresql-contrib`"
        );
        assert_eq!(
            command("ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\n", Some(16)),
            "run `sudo zypper install postgresql16-server postgresql16-contrib`"
        );
        assert_eq!(command("ID=alpine\n", Some(17)), "run `sudo apk add postgresql17 postgresql17-contrib`");
        assert_eq!(command("ID=arch\n", None), "run `sudo pacman -S postgresql postgresql-libs`");
    }

    #[test]
    fn a_major_that_the_distribution_may_lack_is_said_to_come_from_elsewhere() {
        assert!(command("ID=debian", Some(14)).starts_with("run `sudo apt-get install postgresql-14` (from https://apt.postgresql.org"));
    }

    #[test]
    fn root_needs_no_sudo_and_an_unknown_system_gets_the_address() {
        assert_eq!(install_command(Some("ID=debian"), None, true), "run `apt-get install postgresql postgresql-contrib`");
        assert!(install_command(None, None, true).contains("https://www.postgresql.org/download"));
        assert!(command("ID=plan9", None).contains("13 to 18"));
    }
}
