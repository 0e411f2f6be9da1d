//! Command lines that make no sense, and what needs no server at all.

use super::Person;
use std::process::Command;

#[tokio::test]
async fn mistakes_are_named_with_what_would_be_right() {
    let person = Person::with(&[]);
    for (arguments, words) in [
        (&["statsu"][..], &["unrecognized subcommand 'statsu'", "status"][..]),
        (&["status", "--fromat", "json"], &["--fromat", "--format"]),
        (&["status", "--format", "xml"], &["'xml'", "table, json, yaml, csv"]),
        (&["connections", "list", "--state", "sleeping"], &["'sleeping'", "active, waiting, blocked, idle-in-transaction, idle"]),
        (&["connections", "terminate", "--duration", "soon"], &["'soon'", "'--duration <DURATION>'", "30s"]),
        (&["query", "list", "--min-duration", "soon"], &["'soon'", "'--min-duration <DURATION>'"]),
        (&["query", "list", "--min-duration=soon"], &["'soon'", "'--min-duration <DURATION>'"]),
        (&["query", "list", "--min-cpu", "lots"], &["'lots'", "'--min-cpu <PERCENT>'", "150 for one and a half"]),
        (&["query", "list", "--min-memory", "much"], &["'much'", "'--min-memory <SIZE>'"]),
        (&["query", "list", "--kill", "--cancel"], &["--kill", "--cancel", "cannot be used with"]),
        (&["connections", "terminate", "--pid", "me"], &["'me'", "'--pid <PID>'"]),
        (&["top", "--sort", "size"], &["'size'", "cpu"]),
        (&["top", "--window", "0s", "--once"], &["--window is too short", "hint: take some seconds"]),
        (&["token", "create", "--name", "x"], &["--role"]),
        (&["token", "create", "--name", "x", "--role", "king"], &["'king'", "viewer, operator, admin"]),
        (&["completions", "cmd.exe"], &["'cmd.exe'", "bash"]),
        (&["connections"], &["list", "terminate"]),
        (&[], &["Usage: pgtend"]),
    ] {
        let told = person.run(arguments).await.ends(64).says(words);
        assert!(told.stdout.is_empty(), "{told}");
    }
}

#[tokio::test]
async fn help_version_completions_and_manual_need_no_server() {
    let person = Person::with(&[]);
    person.run(&["--version"]).await.ends(0).shows(&["pgtend "]);
    person.run(&["--help"]).await.ends(0).shows(&["Exit codes", "connections", "--connection <DSN>"]);
    person.run(&["locks", "--help"]).await.ends(0).shows(&["--show-blocking"]);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let told = person.run(&["completions", shell]).await.ends(0).says_nothing().shows(&["pgtend", "connections", "min-cpu"]);
        if shell == "bash" {
            std::fs::write(person.home().join("completions"), &told.stdout).unwrap();
            assert!(Command::new("bash").arg("-n").arg(person.home().join("completions")).status().unwrap().success());
        }
    }
    person.run(&["man", "pages"]).await.ends(0).says(&["written to pages"]);
    for (page, word) in [("pgtend.1", "pg_isready"), ("pgtend-connections-terminate.1", "replication"), ("pgtend-query-list.1", "min")] {
        let text = std::fs::read_to_string(person.home().join("pages").join(page)).unwrap();
        assert!(text.contains(".TH") && text.contains(word), "{page}: {text}");
    }
    std::fs::write(person.home().join("file"), "").unwrap();
    person.run(&["man", "file/pages"]).await.ends(71).says(&["manual pages cannot be written", "file/pages"]);
}

#[tokio::test]
async fn a_configuration_is_checked_and_shown() {
    let person = Person::with(&[]);
    let file = person.home().join("pgtend.toml");
    std::fs::write(&file, "[[server]]\nname = \"main\"\ndsn = \"host=db1 user=pgtend\"\n").unwrap();
    person.run(&["config", "check", "--config", "pgtend.toml"]).await.ends(0).shows(&["good; servers: main"]);
    person.run(&["config", "show", "--effective", "--config", "pgtend.toml"]).await.ends(0).shows(&["[ash]", "max_samples"]);
    let shown = person.run(&["config", "show", "--config", "pgtend.toml", "--format", "json"]).await.ends(0).json();
    assert_eq!(shown["server"][0]["name"], "main");
    std::fs::write(&file, "[[server]]\nname = \"main\"\ndsnn = \"host=db1\"\n").unwrap();
    person.run(&["config", "check", "--config", "pgtend.toml"]).await.ends(78).says(&["dsnn", "dsn", "pgtend.toml:3"]);
}
