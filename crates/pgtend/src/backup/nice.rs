//! Work that lets others go first.

use std::panic::resume_unwind;
use std::thread::scope;

/// The nicest that Linux knows.
const NICEST: i32 = 19;

/// Runs work on a thread of its own that is nicer by so much than this one, which the threads and programs that it starts take over.
pub fn nicely<T: Send>(nice: u8, work: impl FnOnce() -> T + Send) -> T {
    if nice == 0 {
        return work();
    }
    let nicely = || {
        yield_to_others(nice);
        work()
    };
    scope(|scope| scope.spawn(nicely).join().unwrap_or_else(|panic| resume_unwind(panic)))
}

fn yield_to_others(nice: u8) {
    // Linux keeps a nice value for each thread, and takes a thread's number for a process's.
    let thread = Some(rustix::thread::gettid());
    let niced = rustix::process::getpriority_process(thread)
        .and_then(|own| rustix::process::setpriority_process(thread, (own + i32::from(nice)).min(NICEST)));
    if let Err(error) = niced {
        tracing::warn!(%error, nice, "a backup's threads could not be made nice");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> i32 {
        rustix::process::getpriority_process(Some(rustix::thread::gettid())).unwrap()
    }

    #[test]
    fn threads_and_programs_take_it_over_and_who_asked_does_not() {
        let before = own();
        let (thread, program) = nicely(7, || {
            let thread = std::thread::spawn(own).join().unwrap();
            let program = std::process::Command::new("nice").output().unwrap();
            (thread, String::from_utf8(program.stdout).unwrap())
        });
        let nicer = (before + 7).min(NICEST);
        assert_eq!((thread, program.trim()), (nicer, nicer.to_string().as_str()));
        assert_eq!(own(), before);
        assert_eq!(nicely(0, own), before);
    }
}
