//! The integration tests: everything that needs a real server, in one binary.

mod harness;
