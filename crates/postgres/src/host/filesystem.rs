//! `host_filesystem`: room on the file systems of the server's directories.

use super::places::{Measure, Places, Surveyed};
use super::{Rows, disk, int};
use pgtend_model::sample::{Unknown, host_filesystem::HostFilesystem};

pub fn read(places: &mut Places) -> Result<Rows<HostFilesystem>, Unknown> {
    let surveyed = places.survey()?;
    let disks = disk::statistics().unwrap_or_default();
    let mut found = Rows::whole(Vec::with_capacity(surveyed.len()));
    for at in surveyed.iter() {
        match &at.measure {
            Ok(measure) => {
                let device = at.mount.as_ref().and_then(|mount| disk::find(&disks, mount.device?)).map(|disk| disk.name.as_str());
                found.rows.push(row(at, measure, device));
            }
            Err(unknown) => found.missing.push(unknown.clone()),
        }
    }
    Ok(found)
}

fn row(at: &Surveyed, measure: &Measure, device: Option<&str>) -> HostFilesystem {
    let room = &measure.room;
    HostFilesystem {
        role: at.place.role.into(),
        path: at.place.path.to_string_lossy().into(),
        mount_point: at.mount.as_ref().map(|mount| mount.point.to_string_lossy().into()),
        fs_type: at.mount.as_ref().map(|mount| mount.fs_type.as_str().into()),
        device: device.map(Into::into),
        size_bytes: int(room.size_bytes),
        free_bytes: int(room.free_bytes),
        available_bytes: int(room.available_bytes),
        inodes: int(room.inodes),
        inodes_free: int(room.inodes_free),
        read_only: room.read_only,
    }
}
