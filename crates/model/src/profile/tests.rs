//! The profile on machines as people have them, and on every machine in between.

use super::*;
use crate::units;
use proptest::prelude::*;

fn machine(major: u16, memory_bytes: u64, cpus: u32) -> Machine {
    Machine {
        major,
        memory_bytes,
        cpus,
        rotational: Some(false),
        disk_bytes: Some(500 * GIB),
        shared_memory_bytes: Some(memory_bytes / 2),
        fast_clock: Some(true),
        lz4: true,
        available_libraries: vec!["pg_stat_statements".into(), "auto_explain".into()],
    }
}

fn small(major: u16) -> Machine {
    Machine {
        rotational: Some(true),
        disk_bytes: Some(8 * GIB),
        shared_memory_bytes: Some(64 * MIB),
        fast_clock: Some(false),
        lz4: false,
        available_libraries: Vec::new(),
        ..machine(major, 512 * MIB, 1)
    }
}

fn value<'a>(settings: &'a [Setting], name: &str) -> Option<&'a str> {
    settings.iter().find(|setting| setting.name == name).map(|setting| setting.value.as_str())
}

fn bytes(settings: &[Setting], name: &str) -> u64 {
    units::bytes(value(settings, name).unwrap_or_else(|| panic!("{name} is not set"))).unwrap()
}

#[test]
fn the_file_for_a_small_and_a_large_machine() {
    for major in [13, 15, 18] {
        for (size, machine) in [("small", small(major)), ("large", machine(major, 256 * GIB, 32))] {
            insta::assert_snapshot!(format!("{size}_{major}"), render(&profile(&machine), "a test", "2026-01-02"));
        }
    }
}

#[test]
fn what_is_unknown_is_said() {
    let machine = Machine { rotational: None, disk_bytes: None, fast_clock: None, ..machine(16, 8 * GIB, 4) };
    let settings = profile(&machine);
    let reason = |name| &settings.iter().find(|setting| setting.name == name).unwrap().reason;
    assert!(reason("random_page_cost").contains("does not say"));
    assert!(reason("max_wal_size").contains("could not be read"));
    assert!(reason("track_io_timing").contains("pg_test_timing"));
}

#[test]
fn a_library_that_is_missing_is_never_preloaded() {
    let settings = profile(&Machine { available_libraries: vec!["auto_explain".into()], ..machine(17, 8 * GIB, 4) });
    assert_eq!(value(&settings, "shared_preload_libraries"), Some("auto_explain"));
    assert!(!settings.iter().any(|setting| setting.name.starts_with("pg_stat_statements.")));
    assert_eq!(value(&profile(&small(17)), "shared_preload_libraries"), None);
}

#[test]
fn values_are_quoted_for_postgresql() {
    let settings = [Section::Logging.set("log_line_prefix", "it's %m ", "why"), Section::Memory.set("work_mem", "4MB", "why")];
    let text = render(&settings, "a test", "2026-01-02");
    assert!(text.contains("log_line_prefix = 'it''s %m '\n"), "{text}");
    assert!(text.contains("work_mem = 4MB\n"), "{text}");
}

proptest! {
    #[test]
    fn sane_on_every_machine(major in 13_u16..=18, memory_mib in 256_u64..=1024 * 1024, cpus in 1_u32..=512, disk_gib in 2_u64..100_000) {
        let machine = Machine { disk_bytes: Some(disk_gib * GIB), ..machine(major, memory_mib * MIB, cpus) };
        let settings = profile(&machine);
        let shared = bytes(&settings, "shared_buffers");
        let work = bytes(&settings, "work_mem");
        let maintenance = bytes(&settings, "maintenance_work_mem");
        let connections: u64 = value(&settings, "max_connections").unwrap().parse().unwrap();

        prop_assert!(shared <= machine.memory_bytes / 4, "shared_buffers {shared}");
        prop_assert!(shared + 3 * maintenance <= machine.memory_bytes / 2, "autovacuum beside shared_buffers");
        prop_assert!(work >= 64 << 10 && work * connections <= machine.memory_bytes, "one work_mem a connection: {work} × {connections}");
        prop_assert!(bytes(&settings, "effective_cache_size") < machine.memory_bytes);
        let (least, most) = (bytes(&settings, "min_wal_size"), bytes(&settings, "max_wal_size"));
        prop_assert!(32 * MIB <= least && least <= most, "min_wal_size {least}, max_wal_size {most}");
        prop_assert!(most <= disk_gib * GIB / 8, "max_wal_size {most} on {disk_gib} GiB");

        let mut names: Vec<_> = settings.iter().map(|setting| setting.name).collect();
        names.sort_unstable();
        prop_assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "a setting is given twice");
        prop_assert!(settings.iter().all(|setting| setting.reason.len() > 10 && !setting.value.is_empty()));
    }
}
