//! File trees into a repository and back: nothing is lost silently, and nothing is written where it should not be.

use crate::harness::account::Account;
use crate::harness::{Agent, Cluster};
use crate::logical::Ground;
use serde_json::Value;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// An agent that backs up a tree, and the tree.
async fn ground(more: &str) -> (Ground, PathBuf) {
    let place = tempfile::Builder::new().prefix("pgtend-tree-").tempdir_in("/tmp").unwrap().keep();
    let tree = place.join("tree");
    fs::create_dir(&tree).unwrap();
    let files = format!(
        "[[files]]\nname = \"things\"\npaths = [\"{}\"]\nschedule = \"off\"\nkeep_days = 0\nkeep_count = 3\n{more}",
        tree.display()
    );
    (Ground::new("", "", &files).await, tree)
}

fn run(ground: &Ground) -> Value {
    ground.json(&["backup", "run", "--files", "things"])[0].clone()
}

/// Everything that a tree is, a line a path: type, mode, owner, time, links, size and content.
fn portrait(root: &Path) -> String {
    let script = "cd \"$0\" && find . -printf '%y %m %U:%G %T@ %n %s %l %p\\n' | grep -av '^d.* \\.$' | LC_ALL=C sort -k8 && \
                  find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum && find . -type d -printf '%m %T@ %p\\n' | LC_ALL=C sort";
    let output = Command::new("bash").args(["-c", script]).arg(root).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // Sizes of directories are the file system's own affair.
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().filter(|line| !line.starts_with("d ")).collect::<Vec<_>>().join("\n")
}

fn fill(tree: &Path) {
    fs::create_dir_all(tree.join("deep/er/empty")).unwrap();
    fs::write(tree.join("plain"), "some text\n").unwrap();
    fs::write(tree.join("deep/big"), (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<u8>>()).unwrap();
    fs::write(tree.join("nothing"), "").unwrap();
    fs::write(tree.join(OsStr::from_bytes(b"not \xff utf8 \\ x")), "bytes").unwrap();
    fs::hard_link(tree.join("deep/big"), tree.join("other name")).unwrap();
    symlink("../nowhere", tree.join("deep/link")).unwrap();
    let sparse = File::create(tree.join("sparse")).unwrap();
    sparse.set_len(200 << 20).unwrap();
    sparse.write_all_at(b"end", (200 << 20) - 3).unwrap();
    assert!(Command::new("mkfifo").arg(tree.join("pipe")).status().unwrap().success());
    fs::set_permissions(tree.join("plain"), fs::Permissions::from_mode(0o4711)).unwrap();
    fs::set_permissions(tree.join("deep/er"), fs::Permissions::from_mode(0o2750)).unwrap();
    Command::new("chown").args(["-h", "1234:2345"]).arg(tree.join("deep/link")).arg(tree.join("plain")).status().unwrap();
    fs::set_permissions(tree.join("plain"), fs::Permissions::from_mode(0o4711)).unwrap();
    Command::new("touch")
        .args(["-h", "-d", "2001-02-03 04:05:06.789"])
        .arg(tree.join("deep/link"))
        .arg(tree.join("plain"))
        .status()
        .unwrap();
    Command::new("touch").args(["-d", "1969-12-31 00:00:00"]).arg(tree.join("deep/er")).status().unwrap();
}

#[tokio::test]
async fn a_tree_comes_back_as_it_was() {
    let (ground, tree) = ground("").await;
    fill(&tree);
    let before = portrait(&tree);
    let first = run(&ground);
    assert_eq!((&first["kind"], &first["files"], &first["warning_count"]), (&"files".into(), &6.into(), &0.into()), "{first:#}");
    let into = ground.path("restored");
    let told = ground.json(&["restore", "--files", "things", "--into", into.to_str().unwrap()]);
    assert_eq!(told["files"], 8, "files, links and pipes: {told:#}");
    let restored = into.join(tree.strip_prefix("/").unwrap());
    assert_eq!(portrait(&restored), before);
    let blocks = fs::metadata(restored.join("sparse")).unwrap().blocks() * 512;
    assert!(blocks < 4 << 20, "holes stay holes: {blocks}");

    fs::write(tree.join("plain"), "other text").unwrap();
    let second = run(&ground);
    assert_eq!(second["new_bytes"], 10, "only what changed is new: {second:#}");
    let label = first["label"].as_str().unwrap();
    let part = ground.path("part");
    let subtree = tree.join("plain");
    ground.json(&["restore", "--backup", label, "--into", part.to_str().unwrap(), "--path", subtree.to_str().unwrap()]);
    assert_eq!(fs::read_to_string(part.join(subtree.strip_prefix("/").unwrap())).unwrap(), "some text\n");
    assert_eq!(fs::read_dir(part.join(tree.strip_prefix("/").unwrap())).unwrap().count(), 1);
    fs::remove_dir_all(tree.parent().unwrap()).unwrap();
}

#[tokio::test]
async fn what_is_there_is_replaced_only_when_somebody_says_so_and_never_through_a_link() {
    let (ground, tree) = ground("").await;
    fs::create_dir(tree.join("sub")).unwrap();
    fs::write(tree.join("sub/file"), "from the backup").unwrap();
    run(&ground);
    let into = ground.path("restored");
    let place = into.join(tree.strip_prefix("/").unwrap());
    fs::create_dir_all(&place).unwrap();
    fs::write(place.join("mine"), "mine").unwrap();
    let arguments = ["restore", "--files", "things", "--into", into.to_str().unwrap()];
    let said = ground.refused(&arguments);
    assert!(said.contains("not empty") && said.contains("--overwrite"), "{said}");
    let overwrite = [&arguments[..], &["--overwrite"]].concat();
    let victim = ground.path("victim");
    fs::create_dir(&victim).unwrap();
    symlink(&victim, place.join("sub")).unwrap();
    let said = ground.refused(&overwrite);
    assert!(said.contains("links are not followed"), "{said}");
    assert_eq!(fs::read_dir(&victim).unwrap().count(), 0);
    fs::remove_file(place.join("sub")).unwrap();
    ground.json(&overwrite);
    ground.json(&overwrite);
    assert_eq!(fs::read_to_string(place.join("sub/file")).unwrap(), "from the backup");
    assert_eq!(fs::read_to_string(place.join("mine")).unwrap(), "mine");
    fs::remove_dir_all(tree.parent().unwrap()).unwrap();
}

#[tokio::test]
async fn what_cannot_be_read_or_does_not_hold_still_is_counted_and_named() {
    let (ground, tree) = ground("exclude = [\"*.tmp\", \"cache/\"]").await;
    fs::write(tree.join("kept"), "x").unwrap();
    fs::write(tree.join("left.tmp"), "x").unwrap();
    fs::create_dir(tree.join("cache")).unwrap();
    fs::write(tree.join("cache/left"), "x").unwrap();
    fs::write(tree.join("restless"), vec![7; 30 << 20]).unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let writer = {
        let (over, path) = (Arc::clone(&over), tree.join("restless"));
        std::thread::spawn(move || {
            let file = File::options().append(true).open(path).unwrap();
            while !over.load(Ordering::Relaxed) {
                std::io::Write::write_all(&mut &file, b"more\n").unwrap();
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        })
    };
    let output = ground.pgtend(&["backup", "run", "--files", "things", "--format", "json"]);
    over.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    let taken: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&taken[0]["warning_count"], &taken[0]["files"]), (&1.into(), &2.into()), "{taken:#}");
    assert!(taken[0]["warnings"][0].as_str().unwrap().contains("restless: it changed while it was read"), "{taken:#}");
    assert!(ground.agent.log().contains("the backup is not complete"));
    let into = ground.path("restored");
    let told = ground.json(&["restore", "--files", "things", "--into", into.to_str().unwrap()]);
    assert!(told["notes"].to_string().contains("1 things are not in this backup"), "{told:#}");
    fs::remove_dir_all(tree.parent().unwrap()).unwrap();
}

#[tokio::test]
async fn a_tree_that_is_not_there_is_no_backup() {
    let (ground, tree) = ground("").await;
    fs::remove_dir(&tree).unwrap();
    let said = ground.refused(&["backup", "run", "--files", "things"]);
    assert!(said.contains("is it mounted?"), "{said}");
    let said = ground.refused(&["backup", "run", "--files", "thing"]);
    assert!(said.contains("no file tree is named \"thing\"") && said.contains("things"), "{said}");
    fs::create_dir(&tree).unwrap();
    (0..30).for_each(|n| fs::write(tree.join(n.to_string()), "x").unwrap());
    run(&ground);
    (0..20).for_each(|n| fs::remove_file(tree.join(n.to_string())).unwrap());
    let output = ground.pgtend(&["backup", "run", "--files", "things"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stdout).contains("the backup before had 30"));
    fs::remove_dir_all(tree.parent().unwrap()).unwrap();
}

#[tokio::test]
async fn an_agent_without_root_names_what_it_may_not_read_and_keeps_the_rest() {
    let place = tempfile::Builder::new().prefix("pgtend-tree-").tempdir_in("/tmp").unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (tree, repository) = (place.path().join("tree"), place.path().join("repository"));
    fs::create_dir_all(tree.join("locked")).unwrap();
    fs::create_dir(&repository).unwrap();
    Account::for_servers().own(&repository);
    for name in ["open", "secret", "locked/inside"] {
        fs::write(tree.join(name), name).unwrap();
    }
    fs::set_permissions(tree.join("secret"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(tree.join("locked"), fs::Permissions::from_mode(0o700)).unwrap();
    let config = format!(
        "[backup]\nschedule = \"off\"\n[[backup.repository]]\npath = \"{}\"\n[[files]]\nname = \"things\"\npaths = [\"{}\"]\nschedule = \"off\"\n",
        repository.display(),
        tree.display()
    );
    let cluster = Cluster::start(15).await;
    let agent = Agent::builder().server("main", &cluster.dsn(), "").config(&config).by_servers_user().start().await;
    let pgtend = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_pgtend"))
            .arg("--socket")
            .arg(agent.socket())
            .args(arguments)
            .args(["--format", "json"])
            .output()
            .unwrap()
    };
    let output = pgtend(&["backup", "run", "--files", "things"]);
    assert_eq!(output.status.code(), Some(2), "{}{}", String::from_utf8_lossy(&output.stderr), agent.log());
    let taken: Value = serde_json::from_slice(&output.stdout).unwrap();
    let warnings = taken[0]["warnings"].as_array().unwrap().iter().filter_map(Value::as_str).collect::<Vec<_>>();
    assert_eq!((warnings.len(), &taken[0]["files"]), (2, &1.into()), "{taken:#}");
    for (warning, name) in warnings.iter().zip(["locked", "secret"]) {
        assert!(warning.starts_with(&tree.join(name).display().to_string()) && warning.contains("Permission denied"), "{warning}");
    }
    let label = taken[0]["label"].as_str().unwrap();
    let shown: Value = serde_json::from_slice(&pgtend(&["backup", "show", label]).stdout).unwrap();
    assert_eq!(shown[0]["warning_count"], 2, "{shown:#}");
    let into = place.path().join("restored");
    let told = pgtend(&["restore", "--files", "things", "--into", into.to_str().unwrap()]);
    assert!(told.status.success() && String::from_utf8_lossy(&told.stdout).contains("2 things are not in this backup"), "{told:?}");
    let restored = into.join(tree.strip_prefix("/").unwrap());
    assert_eq!(fs::read_to_string(restored.join("open")).unwrap(), "open");
    assert!(!restored.join("secret").exists() && !restored.join("locked/inside").exists());
}
