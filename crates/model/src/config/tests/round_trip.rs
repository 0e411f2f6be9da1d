//! Whatever is configured, what is shown of it reads back as the same. The values are made from the declarations of the keys, so
//! that a new key takes part by itself.

use super::super::{Default, Effective, Key, Secrets, Setting, Shape, diff, parse};
use crate::sample::registry::SPECS;
use proptest::collection::vec;
use proptest::prelude::*;
use toml::Value;

type Values = BoxedStrategy<Value>;

/// Keys whose values depend on others, so that random ones would be refused.
const DEPENDENT: &[&str] = &["exclude_databases", "tls_certificate", "tls_key", "servers", "components", "repository", "files", "check"];

fn word() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9_]{0,12}".prop_filter("taken", |word| word != "server" && !word.starts_with("pgtend"))
}

fn strings(key: &Key) -> Values {
    match key.name {
        "name" => word().prop_map(Value::from).boxed(),
        // None that a server has: that one would belong to another cluster.
        "cluster" => "[A-Z]{1,12}".prop_map(Value::from).boxed(),
        "stream_slot" => "[a-z_][a-z0-9_]{0,30}".prop_map(Value::from).boxed(),
        "application_name" => "[ -~]{0,63}".prop_map(Value::from).boxed(),
        "query" => "SELECT [ -~\n\"']{1,40}".prop_map(Value::from).boxed(),
        _ => any::<String>().prop_map(Value::from).boxed(),
    }
}

/// A number within the key's limits, its unit attached. Round ones are frequent, because they are shown in larger units.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "limits are far below 2^53 and not negative")]
fn numbers(key: &Key) -> Values {
    let (from, to) = key.limits().unwrap();
    let within = move |scale: f64| ((from * scale) as u64, (to * scale) as u64);
    let round = |(from, to): (u64, u64), units: &'static [u64]| {
        let round = (1_u64..100, prop::sample::select(units)).prop_map(|(number, unit)| number * unit);
        prop_oneof![from..=to, round.prop_filter("beyond the limits", move |number| (from..=to).contains(number))]
    };
    let ms = || round(within(1e3), &[1, 10, 1000, 60_000, 3_600_000, 86_400_000]);
    match (key.ty, key.name, key.unit) {
        ("duration", "lock_timeout", _) => Just("9ms".into()).boxed(),
        ("duration", "statement_timeout", _) => (1_u32..600).prop_map(|seconds| format!("{seconds} s").into()).boxed(),
        ("duration", "every", _) => (1_u32..600).prop_map(|seconds| format!("{seconds}s").into()).boxed(),
        ("duration", "timeout", _) => (10_u32..1000).prop_map(|ms| format!("{ms} ms").into()).boxed(),
        ("duration", _, "seconds") => ms().prop_map(|ms| (ms as f64 / 1e3).into()).boxed(),
        ("duration", _, _) => ms().prop_map(|ms| format!("{ms}ms").into()).boxed(),
        (_, _, "bytes") => round(within(1.0), &[1, 1 << 10, 1 << 20, 1 << 30]).prop_map(|bytes| format!("{bytes}B").into()).boxed(),
        _ => (from as i64..=to as i64).prop_map(Value::from).boxed(),
    }
}

/// A threshold on its own side of the default, so that the one for warnings comes first.
fn thresholds(key: &Key) -> Values {
    let (from, to) = key.limits().unwrap();
    let Default::Value(default) = key.default else { panic!("{} has no default", key.name) };
    let default: f64 = default.parse().unwrap();
    let is_lower = key.name.starts_with("warning_") != key.name.ends_with("_ratio");
    let range = if is_lower { from..=default } else { default..=to };
    range.prop_map(Value::from).boxed()
}

fn values(key: &'static Key) -> Values {
    match key.ty {
        "boolean" => any::<bool>().prop_map(Value::from).boxed(),
        "integer" | "duration" => numbers(key),
        "number" => thresholds(key),
        "string" => strings(key),
        "connection string" => any::<String>().prop_map(|text| format!("host={text:?} password='geheim'").into()).boxed(),
        "absolute path" => "/[ -~]{1,20}".prop_map(Value::from).boxed(),
        "list of strings" => vec(any::<String>(), 0..3).prop_map(Value::from).boxed(),
        "`\"all\"` or a list of names" => prop_oneof![Just(Value::from("all")), vec(any::<String>(), 1..3).prop_map(Value::from)].boxed(),
        "`ADDRESS:PORT` or `off`" => {
            prop_oneof![Just(Value::from("off")), any::<core::net::SocketAddr>().prop_map(|address| Value::from(address.to_string()))]
                .boxed()
        }
        words if words.starts_with("one of:") => {
            let words: Vec<String> = words.split('`').skip(1).step_by(2).map(str::to_owned).collect();
            prop::sample::select(words).prop_map(Value::from).boxed()
        }
        other => panic!("no values are known for a key that is a {other}"),
    }
}

/// A table in which every key may be there or not; required ones always are.
fn tables(keys: &'static [Key]) -> Values {
    let mut table = Just(toml::Table::new()).boxed();
    for key in keys.iter().filter(|key| !DEPENDENT.contains(&key.name)) {
        let always = key.default == Default::Required || ["server", "columns"].contains(&key.name);
        let present = if always { Just(true).boxed() } else { any::<bool>().boxed() };
        table = (table, present, any_of(key))
            .prop_map(|(mut table, present, value)| {
                if present {
                    table.insert(key.name.to_owned(), value);
                }
                table
            })
            .boxed();
    }
    table.prop_map(Value::Table).boxed()
}

fn any_of(key: &'static Key) -> Values {
    let one = if key.shape == Shape::Value || key.shape == Shape::Map { values(key) } else { tables(key.keys) };
    let named = |entries: std::collections::BTreeMap<String, Value>| Value::Table(entries.into_iter().collect());
    match (key.shape, key.name) {
        (Shape::Value | Shape::Table, _) => one,
        (Shape::Array, _) => vec(one, 1..3).prop_map(|list| Value::Array(numbered(list))).boxed(),
        (_, "probes") => {
            let others: Vec<String> = SPECS.iter().map(|spec| spec.name.to_owned()).filter(|name| name != "activity").collect();
            prop::collection::btree_map(prop::sample::select(others), one, 0..2).prop_map(named).boxed()
        }
        (_, "columns") => {
            let value = Value::Table(toml::Table::from_iter([("usage".to_owned(), Value::from("COUNTER"))]));
            let with_value = move |mut entries: std::collections::BTreeMap<String, Value>| {
                entries.insert("total".to_owned(), value.clone());
                named(entries)
            };
            prop::collection::btree_map(word(), one, 0..3).prop_map(with_value).boxed()
        }
        _ => prop::collection::btree_map(word(), one, 0..3).prop_map(named).boxed(),
    }
}

/// Elements of a list, with names that differ.
fn numbered(mut list: Vec<Value>) -> Vec<Value> {
    for (number, element) in list.iter_mut().enumerate() {
        if let Some(Value::String(name)) = element.get_mut("name") {
            name.push_str(&number.to_string());
        }
    }
    list
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_shown_reads_back(written in tables(Effective::KEYS)) {
        let text = toml::to_string(&written).unwrap();
        let first = parse(&text, "written").map_err(|problems| TestCaseError::fail(format!("{problems}\n{text}")))?.effective;
        let shown = toml::to_string_pretty(&first.show("", Secrets::Shown).unwrap()).unwrap();
        let again = parse(&shown, "shown").map_err(|problems| TestCaseError::fail(format!("{problems}\n{shown}")))?.effective;
        prop_assert_eq!(&first, &again);
        prop_assert_eq!(diff(&first, &again), vec![]);
        let masked = toml::to_string_pretty(&first.show("", Secrets::Masked).unwrap()).unwrap();
        prop_assert!(!masked.contains("geheim"), "{}", masked);
        let debug = format!("{first:?}");
        prop_assert!(!debug.contains("geheim"), "{}", debug);
    }
}
