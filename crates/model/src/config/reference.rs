//! The reference of all keys, in Markdown, from their declarations.

use super::effective::Effective;
use super::key::{Applies, Default, Key, Shape};
use super::later;
use super::setting::Setting;
use std::fmt::Write;

const INTRODUCTION: &str = "\
# Configuration

pgtend reads one TOML file: the one that `--config` names, else the one that the environment variable `PGTEND_CONFIG` names, else
`/etc/pgtend/pgtend.toml`. `pgtend config check` says what is wrong with it, with line and remedy; `pgtend config show --effective`
shows what follows from it, defaults included and secrets masked.

- A key that pgtend does not know is an error, never ignored.
- Durations and sizes are written with their unit: `\"500ms\"`, `\"5s\"`, `\"5min\"`, `\"1h\"`, `\"1d\"`; `\"64MB\"`, `\"1GB\"` (powers of 1024).
  A key whose name ends in `_seconds` takes a bare number.
- *Reload* says what a SIGHUP does (`systemctl reload pgtend`): with *yes* the new value applies at once, with *restart* it waits for
  the next start of the agent, and the log says so. A file with a mistake is refused as a whole, and the agent goes on with the old one.
- Passwords in `dsn` are allowed if only the file's owner and group may read the file; a `password_file` or `.pgpass` is better.

The smallest file:

```toml
[[server]]
name = \"main\"
dsn = \"host=/var/run/postgresql user=pgtend dbname=postgres\"
```
";

/// The reference of all keys, as a Markdown document.
pub fn reference() -> String {
    let mut text = INTRODUCTION.to_owned();
    for key in Effective::KEYS {
        section(&mut text, "", key, 2);
    }
    text.push_str("\n## Sections of later versions\n\n");
    text.push_str(&later::reference());
    text
}

fn section(text: &mut String, path: &str, key: &Key, depth: usize) {
    let path = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
    let header = match key.shape {
        Shape::Array => format!("[[{path}]]"),
        Shape::Tables => format!("[{path}.NAME]"),
        _ => format!("[{path}]"),
    };
    let _ = write!(text, "\n{} `{header}`\n\n{}\n\n", "#".repeat(depth), meaning(key));
    text.push_str("| Key | Meaning | Value | Default | Reload |\n|---|---|---|---|---|\n");
    let (sections, values): (Vec<&Key>, Vec<&Key>) = key.keys.iter().partition(|key| key.shape != Shape::Value && key.shape != Shape::Map);
    for key in values {
        let _ = writeln!(text, "| `{}` | {} | {} | {} | {} |", key.name, meaning(key), value(key), default(key), reload(key));
    }
    for key in sections {
        section(text, &path, key, depth + 1);
    }
}

fn meaning(key: &Key) -> String {
    key.meaning().replace('|', "\\|")
}

fn value(key: &Key) -> String {
    let words = match (key.ty, key.unit) {
        ("duration", "seconds") => "number of seconds".to_owned(),
        ("duration", _) => "duration".to_owned(),
        ("integer", "bytes") => "size".to_owned(),
        (ty, "") => ty.replace("` `", "`, `"),
        (ty, unit) => format!("{ty} ({unit})"),
    };
    let words = if key.shape == Shape::Map { format!("section: a name, and {words}") } else { words };
    if key.range.is_empty() { words } else { format!("{words}, {}", key.range) }
}

fn default(key: &Key) -> String {
    match key.default {
        Default::Required => "required".to_owned(),
        Default::None => "–".to_owned(),
        Default::Value(text) => format!("`{}`", text.replace('\'', "\"")),
    }
}

fn reload(key: &Key) -> &'static str {
    match key.applies {
        Applies::Now => "yes",
        Applies::AfterRestart => "restart",
        Applies::NotYet => "not used by this version",
    }
}
