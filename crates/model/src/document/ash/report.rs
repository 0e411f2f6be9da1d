//! Reports over the session history, by what one wants to know.

use super::super::dated::Dated;
use super::super::{Document, Known, Unknowns};
use super::asked::{self, Coverage, asked};
use super::blocking::Blocking;
use super::figures::{CpuTimeFrom, Figures, Gathered};
use super::session_stats::{SessionActivity, top_sessions};
use super::sql_stats::{SqlActivity, TopSql, text};
use super::timeline::{self, Doing};
use crate::ash::WaitClass;
use crate::ash::block::{Dimension, Key};
use crate::ash::sampled::Sampled;
use crate::ash::scope::Scope;
use crate::error::{Error, Kind, Result};
use crate::past::{Past, Span};
use crate::query_id::QueryId;
use crate::sample::Probe;
use crate::sample::{Reason, Unknown};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a report tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AshReportType)]
pub enum ReportType {
    /// Statements by processor time.
    TopSqlByCpu,
    /// Statements by the time that sessions were active in them.
    #[default]
    TopSql,
    /// What sessions waited for.
    WaitEvents,
    /// What sessions did; of one (`session_id`) one thing after the other.
    SessionActivity,
    /// Who blocked whom.
    Blocking,
    /// Activity by a dimension (`by`).
    Activity,
}

/// A dimension of activity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AshBy)]
pub enum By {
    /// Database.
    Database,
    /// Role.
    User,
    /// What clients call themselves.
    #[serde(alias = "application")]
    Program,
    /// The clients' address.
    Client,
    /// Wait class.
    WaitClass,
    /// Wait event.
    WaitEvent,
    /// Statement.
    #[serde(alias = "sql")]
    Query,
    /// ACTIVE, WAITING or BLOCKED.
    State,
    /// Kind of process.
    BackendType,
}

impl By {
    /// The dimension.
    pub const fn dimension(self) -> Dimension {
        match self {
            Self::Database => Dimension::Database,
            Self::User => Dimension::User,
            Self::Program => Dimension::Application,
            Self::Client => Dimension::Client,
            Self::WaitClass => Dimension::WaitClass,
            Self::WaitEvent => Dimension::WaitEvent,
            Self::Query => Dimension::Query,
            Self::State => Dimension::State,
            Self::BackendType => Dimension::BackendType,
        }
    }
}

/// A report over the session history. Only the lists of its type are there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AshReport)]
pub struct Report {
    /// What it tells.
    pub report_type: ReportType,
    /// The period.
    pub time_range: Span,
    /// How much of it was sampled.
    #[serde(flatten)]
    pub coverage: Coverage,
    /// Everything together; null when nothing was sampled.
    pub all: Option<Figures>,
    /// Whence processor times are.
    pub cpu_time_from: Option<CpuTimeFrom>,
    /// Statements.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub top_sql: Option<Vec<SqlActivity>>,
    /// From when to when executions were counted: the readings of pg_stat_statements that are nearest to the period.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub executions_of: Option<Span>,
    /// Waits by class.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub wait_classes: Option<Vec<ClassWaits>>,
    /// Sessions.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sessions: Option<Vec<SessionActivity>>,
    /// What the session did, newest first.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub timeline: Option<Vec<Doing>>,
    /// Who blocked whom.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub blocking: Option<Blocking>,
    /// By what `groups` are.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub by: Option<By>,
    /// Activity by a dimension.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub groups: Option<Vec<Group>>,
    /// Why figures are null.
    pub unknown: Unknowns,
}

/// The waits of a class. Times are samples times the interval: PostgreSQL neither counts waits nor measures them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AshClassWaits)]
pub struct ClassWaits {
    /// The class; CPU where sessions did not wait.
    pub wait_class: WaitClass,
    /// The time that the samples stand for, in ms.
    pub total_wait_time_ms: f64,
    /// Samples that show it.
    pub wait_count: u64,
    /// Always null: a sample shows that a session waits, and not which of its waits.
    pub avg_wait_ms: Option<f64>,
    /// Sessions in it on average.
    pub average_active_sessions: f64,
    /// Share of all activity, in per cent.
    pub percent_of_total: f64,
    /// Its events, the longest first.
    pub top_events: Vec<EventWaits>,
}

/// The waits for an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AshEventWaits)]
pub struct EventWaits {
    /// The event as `Type:Event`.
    pub event: String,
    /// The time that the samples stand for, in ms.
    pub wait_time_ms: f64,
    /// Samples that show it.
    pub wait_count: u64,
    /// Sessions in it on average.
    pub average_active_sessions: f64,
}

/// Activity that has something in common.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AshGroup)]
pub struct Group {
    /// What it has in common; null for what has no such thing (a Unix socket has no address).
    pub name: Option<String>,
    /// The text, where it is a statement.
    pub sql_text: Option<String>,
    /// What its samples come to.
    #[serde(flatten)]
    pub figures: Figures,
}

asked! {
    /// Which report, and which samples.
    Params {
        /// What it tells: `top_sql` unless said otherwise, or `activity` where `by` is given.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[param(inline)]
        pub report_type: Option<ReportType>,
        /// Activity by this dimension.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[param(inline)]
        pub by: Option<By>,
    }
}

impl Document for Report {
    type Params = Params;
    const PATH: &'static str = "/api/v1/ash/report";
    const ABOUT: &'static str =
        "Reports over the session history: top SQL, wait events, session activity, blocking, or activity by any dimension";
    const PROBES: &'static [Probe] = asked::PROBES;

    fn build(known: &Known<'_>, params: &Params) -> Result<Self> {
        Self::of_past(&asked::just_seen(known), known.now, params)
    }
}

impl Dated for Report {
    fn is_of_past(_params: &Params) -> bool {
        true
    }

    fn of_past(past: &dyn Past, now: Timestamp, params: &Params) -> Result<Self> {
        let scope = params.scope(now)?;
        let usual = if params.by.is_some() { ReportType::Activity } else { ReportType::default() };
        let mut report = Self::empty(params.report_type.unwrap_or(usual), scope.span);
        match report.report_type {
            ReportType::TopSql => report.top_sql(past, &scope, params.rows(), false)?,
            ReportType::TopSqlByCpu => report.top_sql(past, &scope, params.rows(), true)?,
            ReportType::WaitEvents => report.wait_events(past, &scope, params.rows())?,
            ReportType::SessionActivity => report.session_activity(past, &scope, params.rows())?,
            ReportType::Blocking => report.blocking(past, &scope, params.rows())?,
            ReportType::Activity => {
                let missing =
                    || Error::new(Kind::Usage, "activity by what?").hint("by=database, user, program, client, wait_class, query, …");
                report.activity(past, &scope, params.by.ok_or_else(missing)?, params.rows())?;
            }
        }
        asked::note_others(past, scope.span.end, "others", &mut report.unknown)?;
        Ok(report)
    }
}

impl Report {
    fn empty(report_type: ReportType, time_range: Span) -> Self {
        Self {
            report_type,
            time_range,
            coverage: Coverage::default(),
            all: None,
            cpu_time_from: None,
            top_sql: None,
            executions_of: None,
            wait_classes: None,
            sessions: None,
            timeline: None,
            blocking: None,
            by: None,
            groups: None,
            unknown: Unknowns::default(),
        }
    }

    fn take(&mut self, gathered: &Gathered) {
        self.all = Some(gathered.figures(&gathered.all));
        self.cpu_time_from = Some(gathered.cpu_time_from());
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an order by whole microseconds")]
    fn top_sql(&mut self, past: &dyn Past, scope: &Scope, limit: usize, by_cpu: bool) -> Result<()> {
        let figure = |gathered: &Gathered, tally: &_| {
            if by_cpu { (gathered.cpu_ms(tally) * 1000.0) as u64 } else { tally.active() }
        };
        let top = TopSql::of(past, scope, limit, figure, &mut self.unknown)?;
        (self.coverage, self.executions_of) = (top.coverage, top.executions_of);
        top.gathered.iter().for_each(|gathered| self.take(gathered));
        self.top_sql = Some(top.statements);
        Ok(())
    }

    fn wait_events(&mut self, past: &dyn Past, scope: &Scope, limit: usize) -> Result<()> {
        let (coverage, gathered) = Gathered::of(past, scope, &[], &mut [], &mut self.unknown)?;
        self.coverage = coverage;
        gathered.iter().for_each(|gathered| self.take(gathered));
        self.wait_classes = Some(gathered.map_or_else(Vec::new, |gathered| classes(&gathered, limit)));
        let why = "PostgreSQL neither counts nor measures waits: samples show how much time they take together";
        self.unknown.note("wait_classes.avg_wait_ms", Unknown::new(Reason::Absent, why));
        Ok(())
    }

    fn session_activity(&mut self, past: &dyn Past, scope: &Scope, limit: usize) -> Result<()> {
        let (coverage, cpu_time_from, sessions) = top_sessions(past, scope, limit, &mut self.unknown)?;
        (self.coverage, self.cpu_time_from, self.sessions) = (coverage, cpu_time_from, Some(sessions));
        if scope.pid.is_some()
            && let Ok(sampled) = Sampled::of(past, scope.span)?
        {
            self.timeline = Some(timeline::of(past, scope, &sampled, limit)?);
        }
        Ok(())
    }

    fn blocking(&mut self, past: &dyn Past, scope: &Scope, limit: usize) -> Result<()> {
        let sampled = Sampled::of(past, scope.span)?;
        self.coverage = Coverage::of(&sampled, scope.span, &mut self.unknown);
        let blocking = sampled.ok().map(|sampled| Blocking::of(past, scope, &sampled, limit)).transpose()?;
        self.blocking = Some(blocking.unwrap_or_default());
        Ok(())
    }

    fn activity(&mut self, past: &dyn Past, scope: &Scope, by: By, limit: usize) -> Result<()> {
        let mut unknown = Unknowns::default();
        let (coverage, groups) = groups(past, scope, by, limit, &mut unknown, |gathered| self.take(gathered))?;
        self.unknown = unknown;
        (self.coverage, self.by, self.groups) = (coverage, Some(by), Some(groups));
        Ok(())
    }
}

/// Activity by a dimension, the most first. Kinds of process are told of all processes.
///
/// # Errors
/// When the history cannot be read.
#[expect(clippy::cast_precision_loss, reason = "an order needs no more than a double's precision")]
pub(super) fn groups(
    past: &dyn Past,
    scope: &Scope,
    by: By,
    limit: usize,
    unknown: &mut Unknowns,
    take: impl FnOnce(&Gathered),
) -> Result<(Coverage, Vec<Group>)> {
    let scope = Scope { background: scope.background || by == By::BackendType, ..scope.clone() };
    let (coverage, gathered) = Gathered::of(past, &scope, &[by.dimension()], &mut [], unknown)?;
    let Some(gathered) = gathered else { return Ok((coverage, Vec::new())) };
    take(&gathered);
    let mut groups = Vec::new();
    for (keys, tally) in gathered.top(limit, |tally| tally.active() as f64) {
        let sql_id = keys[0].query().map(QueryId);
        groups.push(Group { name: name(&keys[0], by), sql_text: text(past, sql_id)?, figures: gathered.figures(tally) });
    }
    Ok((coverage, groups))
}

fn name(key: &Key, by: By) -> Option<String> {
    match (key, by) {
        (Key::Query(id), _) => Some(id.to_string()),
        (Key::None, By::WaitEvent) => Some(WaitClass::Cpu.name().to_owned()),
        _ => key.text().map(str::to_owned),
    }
}

fn classes(gathered: &Gathered, limit: usize) -> Vec<ClassWaits> {
    let all = gathered.waits(&gathered.all, usize::MAX);
    let mut classes: Vec<ClassWaits> = Vec::new();
    for class in WaitClass::ALL {
        let events: Vec<_> = all.iter().filter(|wait| wait.wait_class == class).collect();
        if events.is_empty() {
            continue;
        }
        let named = events.iter().filter_map(|wait| {
            let event = wait.event.clone()?;
            Some(EventWaits {
                event,
                wait_time_ms: wait.time_ms,
                wait_count: wait.samples,
                average_active_sessions: wait.average_active_sessions,
            })
        });
        classes.push(ClassWaits {
            wait_class: class,
            total_wait_time_ms: events.iter().map(|wait| wait.time_ms).sum(),
            wait_count: events.iter().map(|wait| wait.samples).sum(),
            avg_wait_ms: None,
            average_active_sessions: events.iter().map(|wait| wait.average_active_sessions).sum(),
            percent_of_total: events.iter().map(|wait| wait.percent).sum(),
            top_events: named.take(limit).collect(),
        });
    }
    classes.sort_by(|a, b| b.wait_count.cmp(&a.wait_count).then(a.wait_class.cmp(&b.wait_class)));
    classes
}
