//! Work that lets others go first.

use std::panic::resume_unwind;
use std::thread::scope;

/// Runs work on a thread of its own with this nice value, which the threads and programs that it starts take over.
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
    let niced = rustix::process::setpriority_process(Some(rustix::thread::gettid()), i32::from(nice));
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
        assert_eq!((thread, program.trim()), (7, "7"));
        assert_eq!(own(), before);
        assert_eq!(nicely(0, own), before);
    }
}
