//! Real plans of PostgreSQL 13 and 18, what they mean and what is wrong with them.

use super::*;
use crate::plan::finding::findings;
use serde_json::Value;
use std::path::PathBuf;

fn folder(major: u32) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("src/plan/testdata/{major}"))
}

fn json(major: u32, name: &str) -> Value {
    let path = folder(major).join(format!("{name}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

fn plan(major: u32, name: &str) -> Plan {
    parse(&json(major, name)).unwrap()
}

/// What is wrong with a plan, by name.
fn problems(plan: &Plan, tables: &[TableFacts]) -> Vec<String> {
    let found = findings(plan, tables).into_iter().map(|finding| serde_json::to_value(finding).unwrap());
    found
        .map(|finding| format!("{} {} {}", finding["severity"].as_str().unwrap(), finding["problem"].as_str().unwrap(), finding["step"]))
        .collect()
}

fn names(major: u32) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder(major)).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names.into_iter().map(|name| name.trim_end_matches(".json").to_owned()).collect()
}

/// Every plan, as a DBA reads it, with what is wrong with it.
#[test]
fn what_is_wrong_with_each_plan() {
    use std::fmt::Write as _;
    for major in [13, 18] {
        let mut told = String::new();
        for name in names(major) {
            let plan = plan(major, &name);
            writeln!(told, "{name}: {}\n    plan {}", plan.one_line(), plan.shape()).unwrap();
            for finding in findings(&plan, &[]) {
                writeln!(told, "    {} at {:?}: {}", finding.severity, finding.step, finding.what).unwrap();
            }
        }
        insta::assert_snapshot!(format!("plans_of_{major}"), told);
    }
}

#[test]
fn every_problem_is_found_on_both_majors() {
    let expected = [
        ("seq_scan", "sequential_scan"),
        ("seq_scan", "index_candidate"),
        ("estimate", "row_estimate"),
        ("spill", "sort_on_disk"),
        ("hash_spill", "hash_on_disk"),
        ("agg_spill", "hash_on_disk"),
        ("nested", "nested_loop"),
        ("cte_loop", "nested_loop"),
        ("index_filter", "index_filter"),
        ("lossy", "lossy_bitmap"),
        ("heap", "heap_fetches"),
        ("no_workers", "workers_missing"),
        ("trigger", "trigger_dominates"),
        ("subplan", "repeated_subplan"),
        ("cte_loop", "repeated_subplan"),
    ];
    for major in [13, 18] {
        for (name, problem) in expected {
            let found = problems(&plan(major, name), &[]);
            assert!(found.iter().any(|found| found.split(' ').nth(1) == Some(problem)), "{name} of {major}: {problem} is not in {found:?}");
        }
    }
    // Only the distribution's PostgreSQL compiles.
    let found = problems(&plan(15, "jit"), &[]);
    assert!(found.iter().any(|found| found.starts_with("serious jit_dominates")), "{found:?}");
}

#[test]
fn a_good_plan_has_nothing_wrong() {
    for major in [13, 18] {
        let found = problems(&plan(major, "merge_append"), &[]);
        assert!(found.is_empty(), "{major}: {found:?}");
    }
}

#[test]
fn an_estimate_is_told_where_it_starts_and_not_above() {
    for major in [13, 18] {
        let plan = plan(major, "estimate");
        let found = findings(&plan, &[]);
        let wrong: Vec<&Finding> = found.iter().filter(|finding| matches!(finding.problem, Problem::RowEstimate { .. })).collect();
        assert_eq!(wrong.len(), 1, "{major}: {wrong:#?}");
        assert!(wrong[0].place.as_deref().unwrap().contains("public.skewed"), "{major}: {wrong:#?}");
        assert!(plan.root.rows_returned.unwrap() / plan.root.estimated_rows > 10.0, "the consequence is there, and not told");
    }
}

#[test]
fn times_of_steps_alone_add_up_to_the_whole() {
    for major in [13, 18] {
        for name in names(major) {
            let plan = plan(major, &name);
            let Some(whole) = plan.root.execution_time_ms else { continue };
            let sum: f64 = plan.steps().iter().filter_map(|step| step.self_time_ms).sum();
            assert!((sum - whole).abs() <= whole * 0.05 + 0.5, "{name} of {major}: {sum} is not {whole}");
            assert!(whole <= plan.execution_time_ms.unwrap() + 0.5, "{name} of {major}");
        }
    }
}

#[test]
fn the_rows_of_all_processes_are_counted() {
    for major in [13, 18] {
        let plan = plan(major, "parallel");
        let scan = plan.steps().into_iter().find(|step| step.node_type == "Seq Scan").unwrap();
        assert!((scan.rows_returned.unwrap() - 300_000.0).abs() < 3.0, "{major}: {:?}", scan.rows_returned);
        assert!(scan.execution_time_ms <= plan.execution_time_ms, "{major}: time passed once, however many worked");
        assert!(scan.title == "Parallel Seq Scan", "{}", scan.title);
    }
}

#[test]
fn the_same_plan_has_the_same_shape_and_another_has_not() {
    let join = plan(18, "join");
    let mut again = join.clone();
    again.root.estimated_cost *= 2.0;
    again.root.children[0].conditions.clear();
    assert_eq!(join.shape(), again.shape());
    let mut other = join.clone();
    let index = &mut other.root.children[0];
    index.index = Some("another".to_owned());
    assert_ne!(join.shape(), other.shape());
    assert_eq!(plan(13, "forced_generic").shape(), plan(18, "forced_generic").shape());
    assert_eq!(plan(18, "generic").shape(), plan(18, "forced_generic").shape());
}

#[test]
fn statistics_that_are_old_are_told_with_the_estimate() {
    let fact = |rows: f64, changed: f64, analyzed: bool| TableFacts {
        schema: "public".to_owned(),
        name: "skewed".to_owned(),
        rows,
        live_rows: 100_000.0,
        rows_changed: changed,
        analyzed_at: analyzed.then(|| jiff::Timestamp::from_second(1_767_268_800).unwrap()),
        ..TableFacts::default()
    };
    let plan = plan(18, "estimate");
    let stale = |fact| problems(&plan, &[fact]).into_iter().find(|problem| problem.contains("stale_statistics"));
    assert!(stale(fact(100_000.0, 50_000.0, true)).is_some_and(|found| found.starts_with("serious")));
    assert!(stale(fact(0.0, 100_000.0, false)).is_some());
    assert_eq!(stale(fact(100_000.0, 10_000.0, true)), None);
}

#[test]
fn without_execution_a_large_table_is_judged_by_its_size() {
    let orders = TableFacts { schema: "public".to_owned(), name: "orders".to_owned(), rows: 300_000.0, ..TableFacts::default() };
    for major in [13, 18] {
        let found = problems(&plan(major, "plain"), std::slice::from_ref(&orders));
        assert!(found.iter().any(|found| found.contains("sequential_scan")), "{major}: {found:?}");
        assert!(problems(&plan(major, "plain"), &[]).is_empty(), "nothing is said of what is not known");
    }
}

#[test]
fn what_is_not_known_is_kept_and_what_is_no_plan_is_told() {
    let mut json = json(18, "seq_scan");
    json[0]["Plan"]["Node Type"] = "Quantum Scan".into();
    json[0]["Plan"]["Entangled Rows"] = 7.into();
    let plan = parse(&json).unwrap();
    assert_eq!((plan.root.operator.as_str(), &plan.root.more["Entangled Rows"]), ("QuantumScan", &Value::from(7)));
    for wrong in [Value::Null, serde_json::json!([]), serde_json::json!({"Plan": 1}), serde_json::json!(["Utility Statement"])] {
        assert!(parse(&wrong).is_err(), "{wrong}");
    }
}
