//! Which agent, which server, with what right: errors that say what to do, and the tokens.

use super::Person;
use crate::harness::{Agent, Cluster};
use serde_json::Value;

const GONE: &str = "host=127.0.0.1 port=1 user=postgres dbname=postgres";
const LOOKS: [&[&str]; 5] = [&["activity"], &["query", "list"], &["connections", "list"], &["locks"], &["top", "--once", "--window", "1s"]];

#[tokio::test]
async fn of_several_servers_one_has_to_be_named() {
    let cluster = Cluster::start(15).await;
    let agent = Agent::builder().beside("main", &cluster, "").server("gone", GONE, "").start().await;
    agent.wait_until("/api/v1/status?server=main", "/state", |state| state == "up").await;
    agent.wait_until("/api/v1/load?server=main", "/samples", |samples| samples.as_u64() > Some(0)).await;
    agent.wait_until("/api/v1/status?server=gone", "/state", |state| state == "down").await;
    let person = Person::over_socket(&agent);
    for look in LOOKS {
        person.run(look).await.ends(64).says(&["which server?", "--server NAME", "main, gone"]);
        person.run(&[look, &["--server", "main"]].concat()).await.ends(0).says_nothing();
        person.run(&[look, &["--server", "mian"]].concat()).await.ends(66).says(&["\"mian\"", "main, gone"]);
    }
    person.run(&["status"]).await.ends(2).shows(&["main", "up", "gone", "down", "nothing listens there"]);
    let all = person.run(&["status", "--format", "json"]).await.ends(2).json();
    assert_eq!((&all[0]["server"], &all[1]["state"], &all[1]["error_kind"]), (&"main".into(), &"down".into(), &"unreachable".into()));
    person.run(&["status", "--server", "main"]).await.ends(0).shows(&["PostgreSQL 15"]);
    person.run(&["activity", "--server", "gone"]).await.ends(69).says(&["the sessions could not be read"]);
}

#[tokio::test]
async fn who_cannot_be_reached_is_told_with_what_to_do() {
    let direct = Person::directly(GONE);
    let more: [&[&str]; 2] = [&["status"], &["connections", "terminate", "--all", "--yes"]];
    for command in LOOKS.into_iter().chain(more) {
        direct.run(command).await.ends(69).says(&["nothing listens there", "where: 127.0.0.1:1", "hint: is PostgreSQL running"]);
        let nobody = Person::with(&[]);
        nobody.run(command).await.ends(66).says(&["no agent is running here", "pgtend up", "--socket", "--url", "--connection"]);
        Person::with(&["--url", "http://127.0.0.1:1"])
            .run(command)
            .await
            .ends(69)
            .says(&["the agent cannot be reached", "hint: is it running?"]);
        Person::with(&["--socket", "/nowhere/pgtend.sock"]).run(command).await.ends(69).says(&["/nowhere/pgtend.sock"]);
    }
    Person::with(&["--connection", "port=x"]).run(&["status"]).await.ends(78).says(&["port"]);
    Person::with(&["--connection", GONE, "--server", "main"])
        .run(&["status"])
        .await
        .ends(64)
        .says(&["--server names a server of an agent"]);
    let told = Person::with(&["--url", "http://127.0.0.1:1", "--token-file", "/nowhere/token"]).run(&["status"]).await;
    told.ends(78).says(&["--token-file cannot be read", "/nowhere/token"]);
    Person::with(&["--url", "http://db.example:8080"]).variable("PGTEND_TOKEN", "secret").run(&["status"]).await.ends(64).says(&["https"]);
}

#[tokio::test]
async fn tokens_are_made_listed_and_revoked() {
    let cluster = Cluster::start(15).await;
    let agent = Agent::beside(&cluster).await;
    agent.wait_until("/api/v1/status", "/state", |state| state == "up").await;
    let admin = Person::over_socket(&agent);
    let made = admin.run(&["token", "create", "--name", "grafana", "--role", "viewer", "--expires", "90d"]).await.ends(0);
    let secret = made.stdout.trim().to_owned();
    assert!(secret.len() > 20 && !secret.contains(char::is_whitespace) && made.stderr.contains("not shown again"), "{made}");
    let reader = Person::over_network(&agent, &secret);
    reader.run(&["status"]).await.ends(0).shows(&["main"]);
    let by_variable = Person::with(&reader.only("--url")).variable("PGTEND_TOKEN", &secret);
    by_variable.run(&["status"]).await.ends(0).shows(&["main"]);
    Person::with(&reader.only("--url")).run(&["activity"]).await.ends(77).says(&["token"]);
    Person::over_network(&agent, "pgt_wrong").run(&["status"]).await.ends(77).says(&["token"]);
    reader.run(&["token", "list"]).await.ends(77).says(&["admin"]);

    let other = admin.run(&["token", "create", "--name", "ops", "--role", "operator", "--format", "json"]).await.ends(0).json();
    assert!(other["secret"].as_str().unwrap().len() > 20, "{other}");
    admin.run(&["token", "create", "--name", "ops", "--role", "admin"]).await.ends(65).says(&["ops"]);
    admin.run(&["token", "create", "--name", "two words", "--role", "admin"]).await.ends(64).says(&["name"]);
    for format in ["json", "yaml", "csv", "table"] {
        let listed =
            admin.run(&["token", "list", "--format", format]).await.ends(0).says_nothing().shows(&["grafana", "viewer", "ops", "operator"]);
        assert!(!listed.stdout.contains(&secret), "{listed}");
    }
    let listed = admin.json(&["token", "list"]).await;
    let grafana = listed["tokens"].as_array().unwrap().iter().find(|token| token["name"] == "grafana").unwrap();
    assert!(grafana["last_used"].is_string() && grafana["expires"].is_string(), "{listed}");

    admin.run(&["token", "revoke", "grafana"]).await.ends(0).says(&["grafana is revoked"]);
    reader.run(&["status"]).await.ends(77).says(&["token"]);
    admin.run(&["token", "revoke", "grafana"]).await.ends(66).says(&["grafana"]);
    assert_eq!(admin.json(&["token", "list"]).await["tokens"].as_array().map(Vec::len), Some(1));
    let revoked = admin.run(&["token", "revoke", "ops", "--format", "json"]).await.ends(0).json();
    assert_eq!(revoked["tokens"][0]["name"], Value::from("ops"));
    Person::directly(&cluster.dsn()).run(&["token", "list"]).await.ends(64).says(&["tokens are the agent's"]);
}
