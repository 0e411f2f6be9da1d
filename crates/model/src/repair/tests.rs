//! Damage of each kind, and the way it is mended.

use super::page::{Allowed, Refusal, Seen, judge, list, shown};
use super::plan::{Action, Asked, Means, Step, plan};
use crate::pgdata::{Fork, Lsn, RelationFile};
use crate::verify::{Checked, Damage, DamageKind, Depth, RelationKind, RelationName, ServerState, Verdict, Verification};

const RUNS: Means = Means { runs: true, answers: true, standby: false, backup: true };
const STOPPED: Means = Means { runs: false, answers: false, ..RUNS };
const ALONE: Means = Means { backup: false, ..RUNS };
const NOTHING: Asked = Asked { online: false, salvage: false, zero: false };

fn page(file: &str, kind: RelationKind, block: u32, is_catalog: bool) -> Damage {
    let relation = RelationFile::of_path(file).unwrap();
    let mut damage = Damage::in_file(DamageKind::ChecksumMismatch, file, &relation, "wrong");
    damage.name(&RelationName { name: format!("public.r{}", relation.locator.relfilenode), oid: 1, kind, is_catalog });
    damage.database = Some("shop".into());
    damage.block = Some(block);
    damage
}

fn report(errors: Vec<Damage>) -> Verification {
    Verification {
        verdict: Verdict::Damaged,
        data_directory: "/data".into(),
        system_identifier: "7".into(),
        version: 15,
        server: ServerState::Running,
        depth: Depth::Pages,
        checksums: true,
        started_at: jiff::Timestamp::UNIX_EPOCH,
        took_s: 0.0,
        checked: Checked::default(),
        errors,
        errors_left_out: 0,
        notices: Vec::new(),
        unchecked: Vec::new(),
    }
}

fn told(steps: &[Step]) -> Vec<(String, bool)> {
    let word = |action: &Action| match action {
        Action::Reindex { concurrently } => format!("reindex{}", if *concurrently { " concurrently" } else { "" }),
        Action::RestorePages { pages } => format!("pages {}", shown(pages)),
        Action::Salvage { pages } => format!("salvage but {}", shown(pages)),
        Action::ZeroPages { pages } => format!("zero {}", shown(pages)),
        other => format!("{other:?}"),
    };
    steps.iter().map(|step| (word(&step.action), step.waits.is_none())).collect()
}

fn ways(errors: Vec<Damage>, means: Means, asked: Asked) -> Vec<(String, bool)> {
    told(&plan(&report(errors), means, asked))
}

fn way(text: &str, now: bool) -> Vec<(String, bool)> {
    vec![(text.to_owned(), now)]
}

#[test]
fn an_index_is_built_anew_while_the_server_runs() {
    let index = || vec![page("base/5/16390", RelationKind::Index, 2, false), page("base/5/16390", RelationKind::Index, 9, false)];
    assert_eq!(ways(index(), RUNS, NOTHING), way("reindex concurrently", true));
    assert_eq!(ways(index(), STOPPED, NOTHING), way("reindex concurrently", false));
    let silent = plan(&report(index()), Means { answers: false, ..RUNS }, NOTHING);
    assert!(silent[0].waits.as_ref().is_some_and(|waits| waits.contains("--connection")), "{silent:?}");
    assert_eq!(ways(index(), Means { standby: true, ..RUNS }, NOTHING), way("reindex concurrently", false));
    assert_eq!(ways(vec![page("base/5/2663", RelationKind::Index, 2, true)], RUNS, NOTHING), way("reindex", true));
}

#[test]
fn pages_of_a_table_come_from_a_backup_while_the_server_is_stopped_or_the_table_locked() {
    let table = || vec![page("base/5/16384", RelationKind::Table, 3, false), page("base/5/16384.1", RelationKind::Table, 131_073, false)];
    assert_eq!(ways(table(), STOPPED, NOTHING), way("pages 3,131073", true));
    assert_eq!(ways(table(), RUNS, NOTHING), way("pages 3,131073", false));
    assert_eq!(ways(table(), RUNS, Asked { online: true, ..NOTHING }), way("pages 3,131073", true));
    assert_eq!(ways(table(), Means { answers: false, ..RUNS }, Asked { online: true, ..NOTHING }), way("pages 3,131073", false));
    let catalog = vec![page("base/5/1259", RelationKind::Table, 3, true)];
    assert_eq!(ways(catalog, RUNS, Asked { online: true, ..NOTHING }), way("pages 3", false), "a catalog is never locked");
}

#[test]
fn nothing_is_lost_without_a_word_of_the_user() {
    let table = || vec![page("base/5/16384", RelationKind::Table, 3, false)];
    assert_eq!(ways(table(), ALONE, NOTHING), way("ByHand", false));
    assert_eq!(ways(table(), ALONE, Asked { salvage: true, ..NOTHING }), way("salvage but 3", true));
    let both = ways(table(), ALONE, Asked { salvage: true, zero: true, online: false });
    assert_eq!(both, [("salvage but 3".to_owned(), true), ("zero 3".to_owned(), true)], "rows are copied before pages are emptied");
    // With a backup, zeroing is never the way.
    assert_eq!(ways(table(), STOPPED, Asked { zero: true, ..NOTHING }), way("pages 3", true));
    for means in [RUNS, STOPPED, ALONE] {
        assert!(plan(&report(table()), means, NOTHING).iter().all(|step| !step.lossy));
    }
}

#[test]
fn maps_and_views_are_made_anew() {
    let vm = page("base/5/16384_vm", RelationKind::Table, 0, false);
    let fsm = page("base/5/16384_fsm", RelationKind::Table, 1, false);
    assert_eq!((vm.fork, fsm.fork), (Fork::Vm, Fork::Fsm));
    assert_eq!(ways(vec![fsm, vm], RUNS, NOTHING), [("RebuildVisibilityMap".to_owned(), true), ("RebuildFreeSpaceMap".to_owned(), true)]);
    assert_eq!(ways(vec![page("base/5/16400", RelationKind::MaterializedView, 1, false)], RUNS, NOTHING), way("Refresh", true));
}

#[test]
fn rows_that_are_wrong_on_sound_pages_are_a_matter_for_people() {
    let mut damage = page("base/5/16384", RelationKind::Table, 3, false);
    (damage.kind, damage.file) = (DamageKind::TableCorrupt, String::new());
    assert_eq!(ways(vec![damage.clone()], STOPPED, NOTHING), way("ByHand", false));
    // With a bad page, it is the page that is meant.
    let both = ways(vec![page("base/5/16384", RelationKind::Table, 3, false), damage], STOPPED, NOTHING);
    assert_eq!(both, way("pages 3", true));
}

const END: Lsn = Lsn(1000);

fn seen(sound: bool, lsn: u64) -> Option<Seen> {
    Some(Seen { sound, new: false, lsn: Lsn(lsn), special: 8192, size_and_version: 0x2004 })
}

#[test]
fn a_page_is_put_in_place_only_when_it_is_surely_the_right_one() {
    let no = Allowed::default();
    let good = judge(seen(false, 500), seen(true, 500), seen(true, 3), END, no);
    assert_eq!(good.map(|page| page.lsn), Ok(Lsn(500)));
    assert_eq!(judge(seen(true, 500), seen(true, 500), None, END, no), Err(Refusal::NotDamaged));
    assert_eq!(judge(seen(false, 500), None, None, END, no), Err(Refusal::Absent));
    assert_eq!(judge(seen(false, 500), seen(false, 500), None, END, no), Err(Refusal::CopyDamaged));
    assert_eq!(judge(seen(false, 500), seen(true, 1001), None, END, no), Err(Refusal::BeyondLog { copy: Lsn(1001), end: END }));
    assert_eq!(judge(seen(false, 501), seen(true, 500), None, END, no), Err(Refusal::Older { damaged: Lsn(501), copy: Lsn(500) }));
    assert!(judge(seen(false, 501), seen(true, 500), None, END, Allowed { older: true, ..no }).is_ok());
    assert!(judge(seen(false, 9_999), seen(true, 500), None, END, no).is_ok(), "an LSN beyond the log is damaged itself");
    let index = Some(Seen { special: 8176, ..seen(true, 3).unwrap() });
    assert_eq!(judge(seen(false, 500), seen(true, 500), index, END, no), Err(Refusal::OtherKind));
}

#[test]
fn lists_of_pages_are_read_as_people_write_them() {
    assert_eq!(list("3,7-9, 8"), Ok(vec![3, 7, 8, 9]));
    assert_eq!(shown(&[3, 7, 8, 9]), "3,7-9");
    for wrong in ["", "x", "9-7", "1,", "0-4294967295"] {
        assert!(list(wrong).is_err(), "{wrong}");
    }
}
