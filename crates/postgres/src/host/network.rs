//! `host_network`: /proc/PID/net/dev of the postmaster, so that a server in a network namespace shows its own interfaces.

use super::{Rows, int, source};
use pgtend_model::sample::{Unknown, host_network::HostNetwork};
use procfs::net::InterfaceDeviceStatus;
use std::path::PathBuf;

pub fn read(postmaster: i32) -> Result<Rows<HostNetwork>, Unknown> {
    let path = PathBuf::from(format!("/proc/{postmaster}/net/dev"));
    let interfaces: InterfaceDeviceStatus = source::parsed(path)?;
    Ok(Rows::whole(rows(interfaces)))
}

fn rows(interfaces: InterfaceDeviceStatus) -> Vec<HostNetwork> {
    let mut rows: Vec<HostNetwork> = interfaces
        .0
        .into_values()
        .map(|seen| HostNetwork {
            interface: seen.name.into(),
            receive_bytes: int(seen.recv_bytes),
            receive_packets: int(seen.recv_packets),
            receive_errors: int(seen.recv_errs),
            receive_drops: int(seen.recv_drop),
            transmit_bytes: int(seen.sent_bytes),
            transmit_packets: int(seen.sent_packets),
            transmit_errors: int(seen.sent_errs),
            transmit_drops: int(seen.sent_drop),
        })
        .collect();
    rows.sort_by(|a, b| a.interface.cmp(&b.interface));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn interfaces_in_order_of_their_names() {
        let text = include_str!("testdata/net_dev");
        let rows = rows(source::parse(Path::new("/proc/1/net/dev"), text).unwrap());
        let names: Vec<&str> = rows.iter().map(|row| &*row.interface).collect();
        assert_eq!(names, ["eth0", "lo"]);
        assert_eq!((rows[0].receive_bytes, rows[0].transmit_bytes, rows[0].receive_drops), (4_120_001, 991_234, 7));
    }
}
