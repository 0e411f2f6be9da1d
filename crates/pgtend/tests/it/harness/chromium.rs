//! A browser without a window: what a page looks like to somebody who opens it, and whom it asks for what.

use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::process::Command;

/// Hosts that Chromium itself asks at every start, whatever the page.
const ITS_OWN: [&str; 3] = ["google.com/", "googleapis.com/", "gstatic.com/"];

/// A page as it was opened.
pub struct Opened {
    /// The document after its loading.
    pub document: String,
    /// What was written to the console.
    pub console: Vec<String>,
    /// What was asked for over a network.
    pub requests: Vec<String>,
    picture: PathBuf,
    _profile: tempfile::TempDir,
}

impl Opened {
    /// Opens a file.
    pub async fn file(page: &Path) -> Self {
        let profile = tempfile::Builder::new().prefix("pgtend-chromium-").tempdir().unwrap();
        let (log, picture) = (profile.path().join("net.json"), profile.path().join("page.png"));
        let url = format!("file://{}", page.display());
        let document = run(&profile, &[&format!("--log-net-log={}", log.display()), "--dump-dom", &url]).await;
        run(&profile, &[&format!("--screenshot={}", picture.display()), "--window-size=1200,2400", &url]).await;
        let of_console = |line: &&str| line.contains(":CONSOLE");
        Self {
            console: document.1.lines().filter(of_console).map(str::to_owned).collect(),
            requests: requests(&std::fs::read_to_string(log).unwrap()),
            document: document.0,
            picture,
            _profile: profile,
        }
    }

    /// Bytes of its picture: an empty page compresses to next to none.
    pub fn picture_bytes(&self) -> u64 {
        std::fs::metadata(&self.picture).unwrap().len()
    }
}

/// Standard output and standard error.
async fn run(profile: &tempfile::TempDir, more: &[&str]) -> (String, String) {
    let mut command = Command::new("chromium");
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]);
    // A proxy that is not there: nothing leaves this host, and what would is in the log.
    command.args(["--disable-component-update", "--disable-sync", "--proxy-server=127.0.0.1:1", "--enable-logging=stderr"]);
    command.arg(format!("--user-data-dir={}", profile.path().join("profile").display())).args(more).kill_on_drop(true);
    let ended = tokio::time::timeout(Duration::from_secs(120), command.output()).await.expect("Chromium ends within two minutes");
    let output = ended.expect("Chromium is installed: cargo xtask servers does it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn requests(log: &str) -> Vec<String> {
    let urls = log.split("\"url\":\"").skip(1).filter_map(|rest| rest.split('"').next());
    urls.filter(|url| url.starts_with("http") || url.starts_with("ws"))
        .filter(|url| !ITS_OWN.iter().any(|own| url.contains(own)))
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn a_page_that_asks_somebody_is_found_out() {
    let directory = tempfile::tempdir().unwrap();
    let page = directory.path().join("page.html");
    std::fs::write(&page, "<p>words<img src='http://example.org/x.png'><script>console.error('oh')</script>").unwrap();
    let opened = Opened::file(&page).await;
    assert!(opened.document.contains("<p>words"), "{}", opened.document);
    assert!(opened.requests.iter().any(|url| url.contains("example.org")), "{:?}", opened.requests);
    assert_eq!(opened.console.iter().filter(|line| line.contains("oh")).count(), 1, "{:?}", opened.console);
}
