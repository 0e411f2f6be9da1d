//! Collects the query files: each says in its header for which PostgreSQL majors (and which version of an extension) it is meant.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?).join("queries");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut files = Vec::new();
    for folder in fs::read_dir(&root)? {
        for file in fs::read_dir(folder?.path())? {
            files.push(file?.path());
        }
    }
    files.sort();
    let mut out = String::from("pub(super) const QUERIES: &[Query] = &[\n");
    for file in files {
        let text = fs::read_to_string(&file)?;
        let entry = entry(&file, &text).map_err(|problem| io::Error::other(format!("{}: {problem}", file.display())))?;
        out.push_str(&entry);
    }
    out.push_str("];\n");
    fs::write(Path::new(&env::var("OUT_DIR").map_err(io::Error::other)?).join("queries.rs"), out)
}

fn entry(file: &Path, text: &str) -> Result<String, String> {
    let header = |key: &str| {
        text.lines().take_while(|line| line.starts_with("--")).find_map(|line| line.strip_prefix(&format!("-- {key}:"))).map(str::trim)
    };
    let folder = file.parent().and_then(Path::file_name).and_then(|name| name.to_str()).ok_or("it is in no probe's folder")?;
    let versions = header("versions").ok_or("the header has no line `-- versions: FROM-[TO]`")?;
    let (from, to) = majors(versions).ok_or_else(|| format!("\"{versions}\" is not FROM-TO or FROM-"))?;
    let extension = match header("extension") {
        None => "None".to_owned(),
        Some(line) => {
            let (name, range) = line.split_once(' ').unwrap_or((line, "0-"));
            let (low, high) = range.split_once('-').ok_or_else(|| format!("\"{range}\" is not FROM-TO or FROM-"))?;
            let (low, high) = (dotted(low)?, if high.is_empty() { (u16::MAX, u16::MAX) } else { dotted(high)? });
            format!("Some(Extension {{ name: {name:?}, from: {low:?}, to: {high:?} }})")
        }
    };
    let nulls_are_zero = match header("nulls") {
        None => false,
        Some("zero") => true,
        Some(other) => return Err(format!("\"-- nulls: {other}\" is not `-- nulls: zero`")),
    };
    let mut out = String::new();
    writeln!(
        out,
        "    Query {{ probe: {folder:?}, from: {from}, to: {to}, extension: {extension}, privilege: {:?}, nulls_are_zero: {}, \
         sql: include_str!({:?}) }},",
        header("privilege"),
        nulls_are_zero,
        file.display()
    )
    .map_err(|problem| problem.to_string())?;
    Ok(out)
}

fn majors(text: &str) -> Option<(u32, u32)> {
    let (from, to) = text.split_once('-')?;
    Some((from.trim().parse().ok()?, if to.trim().is_empty() { u32::MAX } else { to.trim().parse().ok()? }))
}

fn dotted(text: &str) -> Result<(u16, u16), String> {
    let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
    let number = |part: &str| part.parse::<u16>().map_err(|_| format!("\"{text}\" is not a version such as 1.10"));
    Ok((number(major)?, number(minor)?))
}
