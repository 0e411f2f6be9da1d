//! The page at `/`: how every server is, for people, without anything from elsewhere. Whoever may see nothing more gets states and
//! figures; statements, roles and addresses are for viewers.

use super::Api;
use super::access::Caller;
use super::answer::Failed;
use askama::Template;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use jiff::Timestamp;
use pgtend_model::ash::WaitClass;
use pgtend_model::config::api::Role;
use pgtend_model::document::load::{Load, Params as LoadParams, QueryLoad, Sort};
use pgtend_model::document::status::{Params, Status};
use pgtend_model::document::{Document, Known};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::units::{show_bytes, show_seconds};
use pgtend_model::view::View;

/// Seconds that the page looks back, one bar each.
const SECONDS: usize = 60;
const STATEMENTS: usize = 8;
/// Characters of a statement that are shown.
const TEXT: usize = 300;

#[derive(Template)]
#[template(path = "status.html")]
struct Page {
    title: String,
    now: String,
    nonce: String,
    version: &'static str,
    viewer: bool,
    who: String,
    classes: Vec<String>,
    servers: Vec<Server>,
}

struct Server {
    name: String,
    state: String,
    about: String,
    error: Option<String>,
    figures: Vec<Figure>,
    chart: Option<Chart>,
    statements: Vec<Statement>,
    unknown: Vec<(String, String)>,
}

struct Figure {
    name: &'static str,
    value: String,
    unit: String,
}

struct Chart {
    width: usize,
    bars: Vec<Bar>,
    average: Option<String>,
    cores: Option<f64>,
    cores_at: Option<f64>,
    legend: Vec<Part>,
}

struct Bar {
    class: String,
    x: usize,
    y: f64,
    height: f64,
}

struct Part {
    class: String,
    name: &'static str,
    average: String,
}

struct Statement {
    percent: String,
    text: String,
    about: String,
}

pub(super) async fn show(State(api): State<Api>, caller: Caller) -> Result<Response, Failed> {
    let viewer = caller.may(Role::Viewer);
    let now = Timestamp::now();
    let servers: Vec<Server> =
        api.agent().servers().iter().map(|server| api.agent().tell(server, |known| of_server(known, viewer))).collect::<Result<_>>()?;
    let down = servers.iter().filter(|server| server.state != "up").count();
    let nonce = nonce()?;
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let page = Page {
        title: if down == 0 { "pgtend".to_owned() } else { format!("({down} down) pgtend") },
        now: format!("{now:.0}"),
        nonce,
        version: env!("CARGO_PKG_VERSION"),
        viewer,
        who: caller.name,
        classes: WaitClass::ALL.iter().map(|class| style(*class)).collect(),
        servers,
    };
    let html = page.render().map_err(|error| Error::new(Kind::Internal, format!("the page cannot be made: {error}")))?;
    let policy = HeaderValue::from_str(&policy).map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
    Ok(([(header::CONTENT_SECURITY_POLICY, policy)], Html(html)).into_response())
}

/// A number that only this answer's own script and style know, so that the browser runs no other.
fn nonce() -> Result<String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::new(Kind::System, format!("the operating system gives no random numbers: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn of_server(known: &Known<'_>, viewer: bool) -> Result<Server> {
    let status = Status::build(known, &Params::default())?;
    let limit = if viewer { STATEMENTS } else { 0 };
    let load = Load::build(known, &LoadParams { seconds: 60.0, limit, sort: Sort::Time, buckets: SECONDS })?;
    let place = viewer.then(|| status.target.clone());
    let about =
        [place, status.version.clone().map(|version| format!("PostgreSQL {version}")), status.role.clone(), since(&status, known.now)];
    let unknown = status.unknown.iter().map(|(place, why)| (place.to_owned(), why.detail.clone()));
    Ok(Server {
        about: about.into_iter().flatten().collect::<Vec<_>>().join(" · "),
        figures: figures(&status),
        chart: chart(&load),
        statements: load.queries.iter().filter(|query| query.percent >= 0.5).map(|query| statement(query, known.view)).collect(),
        // What went wrong in words may name roles and addresses.
        unknown: if viewer { unknown.collect() } else { Vec::new() },
        error: status.error.map(|error| if viewer { error } else { "the server does not answer".to_owned() }),
        name: status.server,
        state: status.state,
    })
}

fn since(status: &Status, now: Timestamp) -> Option<String> {
    match (status.state.as_str(), status.uptime, status.since) {
        ("up", Some(uptime), _) => Some(format!("running for {}", show_seconds(uptime))),
        ("down", _, Some(since)) => Some(format!("for {}", show_seconds(now.duration_since(since).as_secs_f64().max(0.0)))),
        _ => None,
    }
}

fn figures(status: &Status) -> Vec<Figure> {
    let mut figures = Vec::new();
    let mut add = |name, value: Option<String>, unit: String| {
        figures.push(match value {
            Some(value) => Figure { name, value, unit },
            None => Figure { name, value: "–".to_owned(), unit: String::new() },
        });
    };
    let percent = |figure: Option<f64>| figure.map(|figure| format!("{figure:.0} %"));
    let connections = &status.connections;
    add("connections", connections.total.map(|n| n.to_string()), connections.max.map(|max| format!("of {max}")).unwrap_or_default());
    add("transactions/s", status.transactions.per_second.map(|rate| format!("{rate:.0}")), String::new());
    add("cache hits", status.cache_hit_ratio.map(|ratio| format!("{:.1} %", ratio * 100.0)), String::new());
    add("blocked", status.sessions.blocked.map(|n| n.to_string()), "sessions".to_owned());
    add("oldest transaction", status.sessions.oldest_transaction_seconds.map(show_seconds), String::new());
    if status.cpu.cores.is_some() {
        add("processors", percent(status.cpu.used_percent), status.cpu.cores.map(|cores| format!("of {cores:.0}")).unwrap_or_default());
        let total = status.memory.total_bytes.map(size);
        add("memory", percent(status.memory.used_percent), total.map(|size| format!("of {size}")).unwrap_or_default());
        let total = status.disk.size_bytes.map(size);
        add("disk", percent(status.disk.used_percent), total.map(|size| format!("of {size}")).unwrap_or_default());
    }
    if let Some(lag) = status.replication.lag_seconds {
        add("replication lag", Some(show_seconds(lag)), status.replication.lag_bytes.map(size).unwrap_or_default());
    }
    figures
}

#[expect(clippy::cast_precision_loss, reason = "sizes for people")]
fn size(bytes: i64) -> String {
    show_bytes(bytes as f64)
}

/// One stacked bar a second; the scale reaches at least to the number of processors.
fn chart(load: &Load) -> Option<Chart> {
    load.to?;
    let tallest = load.series.iter().map(|bucket| bucket.classes.values().sum::<f64>()).fold(0.0, f64::max);
    let top = tallest.max(load.cores.unwrap_or(1.0)).max(1.0) * 1.05;
    let mut bars = Vec::new();
    for (x, bucket) in load.series.iter().enumerate() {
        let mut floor = 100.0;
        for (class, sessions) in &bucket.classes {
            let height = 100.0 * sessions / top;
            floor -= height;
            bars.push(Bar { class: style(*class), x, y: round(floor), height: round(height) });
        }
    }
    let part = |class: &pgtend_model::document::load::ClassLoad| Part {
        class: style(class.wait_class),
        name: class.wait_class.name(),
        average: format!("{:.1}", class.average),
    };
    Some(Chart {
        width: load.series.len().max(1),
        bars,
        average: load.average_active_sessions.map(|average| format!("{average:.1}")),
        cores: load.cores,
        cores_at: load.cores.map(|cores| round(100.0 - 100.0 * cores / top)),
        legend: load.classes.iter().filter(|class| class.average >= 0.05).map(part).collect(),
    })
}

fn round(figure: f64) -> f64 {
    (figure * 100.0).round() / 100.0
}

/// The name of a wait class in the page's style sheet.
fn style(class: WaitClass) -> String {
    class.name().to_ascii_lowercase()
}

/// A statement with `$n` for its constants where that text is known.
fn statement(query: &QueryLoad, view: &View) -> Statement {
    let text = view.statement_texts.get(&query.query_id.0).map_or(query.query.as_str(), |text| text);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = match text.char_indices().nth(TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    };
    let mut classes: Vec<(&WaitClass, &f64)> = query.classes.iter().collect();
    classes.sort_by(|a, b| b.1.total_cmp(a.1));
    let waits = classes.iter().take(3).map(|(class, average)| format!("{} {average:.1}", class.name())).collect::<Vec<_>>().join(", ");
    let about = [Some(waits), query.user.clone(), query.database.clone()];
    let about = about.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ");
    Statement { percent: format!("{:.0}", query.percent), text, about }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgtend_model::document::load::{Bucket, ClassLoad};

    fn load() -> Load {
        let at = |second| Timestamp::from_second(second).unwrap();
        let bucket =
            |second, sessions: &[(WaitClass, f64)]| Bucket { at: at(second), samples: 1, classes: sessions.iter().copied().collect() };
        Load {
            to: Some(at(2)),
            cores: Some(4.0),
            average_active_sessions: Some(2.5),
            classes: vec![ClassLoad { wait_class: WaitClass::Cpu, average: 2.5, percent: 100.0 }],
            series: vec![bucket(1, &[]), bucket(2, &[(WaitClass::Cpu, 3.0), (WaitClass::UserIO, 2.0)])],
            ..Load::default()
        }
    }

    #[test]
    fn bars_stand_on_one_another_and_stay_inside() {
        let chart = chart(&load()).unwrap();
        assert_eq!((chart.width, chart.bars.len()), (2, 2));
        let [cpu, io] = &chart.bars[..] else { panic!("two bars") };
        assert!((cpu.y + cpu.height - 100.0).abs() < 0.02 && (io.y + io.height - cpu.y).abs() < 0.02);
        assert!(io.y > 0.0 && chart.cores_at.unwrap() > io.y, "the line of the processors is below the top of five sessions");
        assert!(super::chart(&Load::default()).is_none());
    }

    #[test]
    fn texts_cannot_break_out_of_the_page() {
        let nasty = "</code><script>alert(1)</script>".to_owned();
        let statement = Statement { percent: "1".to_owned(), text: nasty.clone(), about: nasty.clone() };
        let server = Server {
            name: nasty.clone(),
            state: "up".to_owned(),
            about: nasty.clone(),
            error: Some(nasty.clone()),
            figures: Vec::new(),
            chart: chart(&load()),
            statements: vec![statement],
            unknown: vec![(nasty.clone(), nasty.clone())],
        };
        let page = Page {
            title: nasty.clone(),
            now: String::new(),
            nonce: nonce().unwrap(),
            version: "1",
            viewer: true,
            who: nasty,
            classes: Vec::new(),
            servers: vec![server],
        };
        let html = page.render().unwrap();
        assert!(!html.contains("<script>alert"), "{html}");
        assert_eq!(html.matches("<script").count(), 1);
    }
}
