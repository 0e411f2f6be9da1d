//! TCP ports of the loopback interface: free or taken, and by whom.

use procfs::net::{TcpNetEntry, TcpState};
use procfs::process::FDTarget;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

/// Whether PostgreSQL could listen on this port of the loopback addresses. An address that this machine does not have is no obstacle.
pub fn is_free(port: u16) -> bool {
    let addresses = [SocketAddr::from((Ipv4Addr::LOCALHOST, port)), SocketAddr::from((Ipv6Addr::LOCALHOST, port))];
    addresses.into_iter().all(|address| match TcpListener::bind(address) {
        Ok(_) => true,
        Err(error) => matches!(error.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported),
    })
}

/// A port that is free now, taken from the system's range. Somebody else may take it before it is used.
pub fn any_free() -> io::Result<u16> {
    loop {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        if is_free(port) {
            return Ok(port);
        }
    }
}

/// The first free port above `port`, for somebody who would rather have a number near the usual one.
pub fn next_free(port: u16) -> Option<u16> {
    (port.saturating_add(1)..=port.saturating_add(100)).find(|port| is_free(*port))
}

/// Who listens on this port, as far as the system tells: "process 4711 (nginx)".
pub fn holder(port: u16) -> Option<String> {
    let tables = [procfs::net::tcp(), procfs::net::tcp6()];
    let listens = |entry: &TcpNetEntry| entry.state == TcpState::Listen && entry.local_address.port() == port;
    let sockets: Vec<u64> = tables.into_iter().flatten().flatten().filter(listens).map(|entry| entry.inode).collect();
    let processes = procfs::process::all_processes().ok().filter(|_| !sockets.is_empty())?;
    for process in processes.flatten() {
        let mut files = process.fd().into_iter().flatten().flatten();
        if files.any(|file| matches!(file.target, FDTarget::Socket(inode) if sockets.contains(&inode))) {
            let name = process.stat().map(|stat| stat.comm).unwrap_or_default();
            return Some(format!("process {} ({name})", process.pid));
        }
    }
    Some("a process of another user".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_names_its_holder() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(!is_free(port));
        assert!(holder(port).unwrap().starts_with(&format!("process {} (", std::process::id())));
        drop(listener);
        assert!(is_free(port));
        assert_eq!(holder(port), None);
    }

    #[test]
    fn a_free_one_is_found_nearby_or_anywhere() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(next_free(port).is_none_or(|next| next > port));
        assert!(is_free(any_free().unwrap()));
    }
}
