//! The settings as a configuration file that a person can read.

use super::{LEFT_ALONE, Setting};
use std::fmt::Write as _;

const WIDTH: usize = 100;

/// The text of `pgtend.conf`: a head, each setting below its reason, and what was left alone. `made_for` says in words for which
/// PostgreSQL and machine, `when` is the date of the file.
pub fn render(settings: &[Setting], made_for: &str, when: &str) -> String {
    let mut text = String::new();
    comment(&mut text, &format!("Written by pgtend on {when} for {made_for}."));
    comment(
        &mut text,
        "pgtend does not write this file again: change it as you like. What stands after its include in postgresql.conf, and ALTER SYSTEM, come later and win.",
    );
    let mut section = None;
    for setting in settings {
        if section != Some(setting.section) {
            section = Some(setting.section);
            _ = write!(text, "\n#--- {}\n", setting.section.title());
        }
        text.push('\n');
        comment(&mut text, &setting.reason);
        _ = writeln!(text, "{} = {}", setting.name, quoted(&setting.value));
    }
    text.push_str("\n#--- Left at the default on purpose\n\n");
    for (name, reason) in LEFT_ALONE {
        comment(&mut text, &format!("{name}: {reason}"));
    }
    text
}

fn comment(text: &mut String, sentence: &str) {
    let mut line = String::from("#");
    for word in sentence.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            text.push_str(&line);
            line = String::from("\n#");
        }
        line.push(' ');
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}

fn quoted(value: &str) -> String {
    let bare = !value.is_empty() && value.chars().all(|c| c.is_ascii_alphanumeric() || c == '.');
    if bare { value.into() } else { format!("'{}'", value.replace('\'', "''")) }
}
