//! `cargo xtask gen-docs`: the reference under docs/reference/, written by pgtend itself from the definitions that it runs with.
//!
//! pgtend knows its options, metrics, errors and API; `pgtend generate-docs DIR`, which its help does not show, writes them down.
//! With `--check` nothing is written, and a reference that no longer says what pgtend does is an error.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{run, workspace_root};

const REFERENCE: &str = "docs/reference";

#[derive(clap::Args)]
pub struct Arguments {
    /// Compare only; fail if the files differ from what pgtend would write.
    #[arg(long)]
    check: bool,
}

/// Files by their path inside the reference.
type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Writes the reference, or compares it.
pub fn generate(arguments: &Arguments) -> Result<()> {
    let root = workspace_root();
    let reference = root.join(REFERENCE);
    let present = read_all(&reference)?;
    let generated = generated(&root)?;
    let differences = differences(&present, &generated);
    if differences.is_empty() {
        println!("gen-docs: {REFERENCE}/ is up to date ({} files)", generated.len());
        return Ok(());
    }
    if arguments.check {
        bail!("the reference is stale; `cargo xtask gen-docs` renews it:\n{}", differences.join("\n"));
    }
    write_all(&reference, &present, &generated)?;
    println!("gen-docs: renewed\n{}", differences.join("\n"));
    Ok(())
}

/// What pgtend writes.
fn generated(root: &Path) -> Result<Files> {
    let into = tempfile::tempdir()?;
    let mut pgtend = Command::new(env!("CARGO"));
    pgtend.current_dir(root).args(["run", "--quiet", "--package", "pgtend", "--", "generate-docs"]).arg(into.path());
    run::output(&mut pgtend)?;
    let files = read_all(into.path())?;
    if files.is_empty() {
        bail!("pgtend generate-docs wrote nothing");
    }
    Ok(files)
}

fn read_all(folder: &Path) -> Result<Files> {
    let mut files = Files::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(inner) = folders.pop() {
        if !inner.exists() {
            continue;
        }
        for entry in fs::read_dir(&inner).with_context(|| format!("{} could not be read", inner.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.strip_prefix(folder)?.to_path_buf(), fs::read(&path)?);
            }
        }
    }
    Ok(files)
}

/// One line for each file that is missing, needless or different, with the first line that differs.
fn differences(present: &Files, generated: &Files) -> Vec<String> {
    let mut lines = Vec::new();
    for (path, wanted) in generated {
        let shown = Path::new(REFERENCE).join(path);
        match present.get(path) {
            None => lines.push(format!("{}:1: is missing", shown.display())),
            Some(found) if found != wanted => {
                lines.push(format!("{}:{}: differs from what pgtend says", shown.display(), first_difference(found, wanted)));
            }
            Some(_) => {}
        }
    }
    let needless = present.keys().filter(|path| !generated.contains_key(*path));
    lines.extend(needless.map(|path| format!("{}:1: is not written by pgtend", Path::new(REFERENCE).join(path).display())));
    lines
}

fn first_difference(one: &[u8], other: &[u8]) -> usize {
    let lines = |text: &[u8]| text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>();
    let (one, other) = (lines(one), lines(other));
    let same = one.iter().zip(&other).take_while(|(one, other)| one == other).count();
    same + 1
}

fn write_all(reference: &Path, present: &Files, generated: &Files) -> Result<()> {
    for path in present.keys().filter(|path| !generated.contains_key(*path)) {
        fs::remove_file(reference.join(path))?;
    }
    for (path, content) in generated {
        let path = reference.join(path);
        fs::create_dir_all(path.parent().unwrap_or(reference))?;
        fs::write(&path, content).with_context(|| format!("{} could not be written", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(files: &[(&str, &str)]) -> Files {
        files.iter().map(|(path, text)| (PathBuf::from(path), text.as_bytes().to_vec())).collect()
    }

    #[test]
    fn each_kind_of_difference_is_named_with_its_line() {
        let present = files(&[("a.md", "one\ntwo\n"), ("b/c.md", "same"), ("old.md", "")]);
        let generated = files(&[("a.md", "one\n2\n"), ("b/c.md", "same"), ("new.md", "")]);
        let expected = [
            "docs/reference/a.md:2: differs from what pgtend says",
            "docs/reference/new.md:1: is missing",
            "docs/reference/old.md:1: is not written by pgtend",
        ];
        assert_eq!(differences(&present, &generated), expected);
        assert!(differences(&generated, &generated).is_empty());
    }

    #[test]
    fn renewing_leaves_exactly_what_was_generated() {
        let directory = tempfile::tempdir().unwrap();
        let old = files(&[("a.md", "one"), ("old.md", "")]);
        let new = files(&[("a.md", "two"), ("b/c.md", "new")]);
        write_all(directory.path(), &Files::new(), &old).unwrap();
        write_all(directory.path(), &old, &new).unwrap();
        assert_eq!(read_all(directory.path()).unwrap(), new);
    }
}
