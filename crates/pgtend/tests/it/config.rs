//! `pgtend config`: exit codes and everything that is printed, as a person sees it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

const GOOD: &str = r#"
[[server]]
name = "main"
dsn = "postgresql://pgtend:geheim@db1/postgres?sslmode=require"

[diagnostics]
enabled = true

[ash]
max_samples = 3600
"#;

fn pgtend(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pgtend")).current_dir(folder).env_clear().args(arguments).output().unwrap()
}

/// A folder with a configuration of this content and mode.
fn folder(content: &[u8], mode: u32) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pgtend.toml");
    fs::write(&file, content).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
    folder
}

/// Exit code and output, for a snapshot.
fn told(folder: &Path, arguments: &[&str]) -> String {
    let output = pgtend(folder, arguments);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&folder.display().to_string(), "DIR");
    let told = format!(
        "$ pgtend {}\nexit code: {}\n-- stdout\n{}-- stderr\n{}",
        arguments.join(" "),
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr)
    );
    assert!(!told.contains("geheim"), "a secret is shown: {told}");
    told
}

#[test]
fn a_good_file_passes_with_its_notices() {
    let folder = folder(GOOD.as_bytes(), 0o640);
    insta::assert_snapshot!(told(folder.path(), &["config", "check", "--config", "pgtend.toml"]));
}

#[test]
fn every_mistake_is_told_at_once() {
    let folder = folder(format!("{GOOD}max_sample = 1\n[api]\nlisten = 8080\n").as_bytes(), 0o640);
    insta::assert_snapshot!(told(folder.path(), &["config", "check", "--config", "pgtend.toml"]));
}

#[test]
fn mistakes_are_a_document_too() {
    let folder = folder(format!("{GOOD}max_sample = 1\n").as_bytes(), 0o640);
    insta::assert_snapshot!(told(folder.path(), &["config", "check", "--config", "pgtend.toml", "--format", "json"]));
}

#[test]
fn passwords_that_everybody_may_read_are_refused() {
    let folder = folder(GOOD.as_bytes(), 0o644);
    insta::assert_snapshot!(told(folder.path(), &["config", "check", "--config", "pgtend.toml"]));
    let without_password = GOOD.replace(":geheim", "");
    fs::write(folder.path().join("pgtend.toml"), without_password).unwrap();
    assert!(pgtend(folder.path(), &["config", "check", "--config", "pgtend.toml"]).status.success());
}

#[test]
fn a_missing_file_is_told_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    insta::assert_snapshot!(told(folder.path(), &["config", "check", "--config", "missing.toml"]));
}

#[test]
fn what_is_no_file_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    insta::assert_snapshot!(told(folder.path(), &["config", "show", "--config", "."]));
}

#[test]
fn a_file_that_is_no_text_is_told() {
    let folder = folder(b"[[server]]\nname = \"m\xfcller\"\n", 0o640);
    insta::assert_snapshot!(told(folder.path(), &["config", "check", "--config", "pgtend.toml"]));
}

#[test]
fn files_that_the_configuration_names_are_looked_at() {
    let folder = folder(b"", 0o640);
    let password = folder.path().join("password");
    fs::write(&password, "geheim\n").unwrap();
    fs::set_permissions(&password, Permissions::from_mode(0o644)).unwrap();
    let text = format!("[[server]]\nname = \"main\"\ndsn = \"host=db1\"\npassword_file = \"{}\"\n", password.display());
    let text = format!("{text}[api]\ntls_certificate = \"/nowhere/api.crt\"\ntls_key = \"/nowhere/api.key\"\n");
    fs::write(folder.path().join("pgtend.toml"), text).unwrap();
    insta::assert_snapshot!(told(folder.path(), &["config", "check", "--config", "pgtend.toml"]));
}

#[test]
fn show_gives_what_the_file_sets() {
    let folder = folder(GOOD.as_bytes(), 0o640);
    for format in ["table", "json", "yaml", "csv"] {
        insta::assert_snapshot!(told(folder.path(), &["config", "show", "--config", "pgtend.toml", "--format", format]));
    }
}

#[test]
fn the_effective_configuration_is_a_configuration() {
    let folder = folder(GOOD.as_bytes(), 0o640);
    let shown = pgtend(folder.path(), &["config", "show", "--effective", "--config", "pgtend.toml"]);
    assert!(shown.status.success());
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(text.contains("max_samples = 3600") && text.contains("sample_interval_seconds = 1") && !text.contains("geheim"));
    fs::write(folder.path().join("shown.toml"), &text).unwrap();
    let again = pgtend(folder.path(), &["config", "show", "--effective", "--config", "shown.toml"]);
    assert_eq!(String::from_utf8(again.stdout).unwrap(), text);
}

#[test]
fn the_environment_names_the_file_and_the_option_wins() {
    let folder = folder(GOOD.as_bytes(), 0o640);
    let check = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pgtend"));
        command.current_dir(folder.path()).env_clear().env("PGTEND_CONFIG", "missing.toml").args(["config", "check"]).args(arguments);
        command.output().unwrap().status.code()
    };
    assert_eq!(check(&[]), Some(66));
    assert_eq!(check(&["--config", "pgtend.toml"]), Some(0));
}
