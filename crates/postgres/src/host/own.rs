//! What this process itself uses, from /proc/self.

use super::process_files as files;
use pgtend_model::metric::About;
use rustix::process::{Resource, getrlimit};

/// Fills in what /proc/self tells; what it does not tell stays none.
pub fn describe(about: &mut About) {
    let text = |name: &str| std::fs::read_to_string(format!("/proc/self/{name}")).ok();
    #[expect(clippy::cast_precision_loss, reason = "metrics are doubles by definition")]
    let seconds = |ticks: u64| ticks as f64 / procfs::ticks_per_second() as f64;
    about.cpu_seconds = text("stat").as_deref().and_then(files::stat).map(|stat| seconds(stat.cpu_ticks));
    let pages = |field: usize| text("statm")?.split_ascii_whitespace().nth(field)?.parse::<u64>().ok();
    about.virtual_bytes = pages(0).map(|pages| pages * procfs::page_size());
    about.resident_bytes = pages(1).map(|pages| pages * procfs::page_size());
    about.open_files = std::fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as u64);
    about.max_files = getrlimit(Resource::Nofile).current;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let mut about = About::default();
        describe(&mut about);
        assert!(about.resident_bytes > Some(1 << 20) && about.virtual_bytes >= about.resident_bytes, "{about:?}");
        assert!(about.open_files > Some(2) && about.max_files >= about.open_files && about.cpu_seconds.is_some(), "{about:?}");
    }
}
