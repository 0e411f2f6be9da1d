//! A plan as people read it: a line a step, with its time, its share of the whole, and its rows against those expected; then what is
//! wrong, in the order of what it costs.

use super::output::{Medium, Tone, paint};
use pgtend_model::plan::{Finding, Node, Plan, Severity};
use pgtend_model::units::{harmless, show_count, show_seconds};
use std::fmt::Write as _;

/// Columns from which on there is room for bars.
const ROOMY: u16 = 96;
/// Characters of a bar.
const BAR: usize = 8;
/// Where text is wrapped when nobody says how wide it may be.
const USUAL: usize = 110;

/// The tree of a plan.
pub(super) fn tree(plan: &Plan, findings: &[Finding], medium: Medium) -> String {
    let mut tree = Tree { plan, findings, medium, out: String::new(), number: 0 };
    tree.heading();
    tree.step(&plan.root, "", "");
    tree.below();
    tree.out
}

/// What is wrong, a paragraph each.
pub(super) fn wrong(findings: &[Finding], medium: Medium) -> String {
    let mut out = String::new();
    for finding in findings {
        let severity = paint(&format!("{:<8}", finding.severity), tone(finding.severity), medium);
        let share = finding.time_percent.map(|percent| format!(", {percent:.0} % of the time")).unwrap_or_default();
        let place = match (finding.step, &finding.place) {
            (Some(step), Some(place)) => format!("step {step}, {}{share}", harmless(place)),
            _ => format!("the whole statement{share}"),
        };
        for (number, line) in wrapped(&place, width(medium).saturating_sub(9)).iter().enumerate() {
            let lead = if number == 0 { &*severity } else { "        " };
            let _never_fails = writeln!(out, "{lead} {}", paint(line, Tone::Dim, medium));
        }
        for (lead, text) in [("", &finding.what), ("→ ", &finding.advice)] {
            for (number, line) in wrapped(&harmless(text), width(medium).saturating_sub(9 + lead.chars().count())).iter().enumerate() {
                let lead = if number == 0 { lead } else { &"  "[..lead.len().min(2)] };
                let _never_fails = writeln!(out, "         {lead}{line}");
            }
        }
    }
    out
}

fn width(medium: Medium) -> usize {
    medium.width.map_or(USUAL, usize::from)
}

fn tone(severity: Severity) -> Tone {
    match severity {
        Severity::Serious => Tone::Bad,
        Severity::Warning => Tone::Warn,
        Severity::Note => Tone::Dim,
    }
}

/// Words on lines of at most this many characters; a word that is longer stands alone.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width.max(20) => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

struct Tree<'a> {
    plan: &'a Plan,
    findings: &'a [Finding],
    medium: Medium,
    out: String,
    number: usize,
}

impl Tree<'_> {
    fn is_timed(&self) -> bool {
        self.plan.root.execution_time_ms.is_some()
    }

    fn has_bars(&self) -> bool {
        self.medium.width.is_none_or(|width| width >= ROOMY)
    }

    fn heading(&mut self) {
        let bar = if self.has_bars() { format!(" {:BAR$}", "") } else { String::new() };
        let heading = match (self.is_timed(), self.plan.is_executed()) {
            (true, _) => format!("{:>3} {:>9}{bar} {:>5} {:>11} {:>11}  step", "", "alone", "share", "rows", "expected"),
            (false, true) => format!("{:>3} {:>11} {:>11}  step", "", "rows", "expected"),
            (false, false) => format!("{:>3} {:>13} {:>11}  step", "", "cost", "expected"),
        };
        let _never_fails = writeln!(self.out, "{}", paint(&heading, Tone::Dim, self.medium));
    }

    /// `first` stands before the step itself, `rest` before what is below it.
    fn step(&mut self, node: &Node, first: &str, rest: &str) {
        self.number += 1;
        let number = self.number;
        let worst = self.findings.iter().filter(|finding| finding.step == Some(number)).map(|finding| finding.severity).min();
        let figures = self.figures(node, number);
        let name = node.subplan.as_ref().map_or_else(String::new, |name| format!("[{name}] "));
        let runs = node.loops().filter(|loops| *loops > 1.0).map_or_else(String::new, |loops| format!("  ×{}", count(loops)));
        let skipped = if node.was_skipped() { "  (never run)" } else { "" };
        let label = format!("{name}{}{runs}{skipped}", node.label());
        let label_tone = match worst {
            Some(severity) if severity != Severity::Note => tone(severity),
            _ if node.was_skipped() => Tone::Dim,
            _ => Tone::Plain,
        };
        self.line(&figures, first, &label, label_tone);
        for detail in details(node) {
            let bend = if node.children.is_empty() { "   " } else { "│  " };
            self.line(&" ".repeat(visible(&figures)), &format!("{rest}{bend}"), &detail, Tone::Dim);
        }
        let last = node.children.len().saturating_sub(1);
        for (place, child) in node.children.iter().enumerate() {
            let (branch, trunk) = if place == last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            self.step(child, &format!("{rest}{branch}"), &format!("{rest}{trunk}"));
        }
    }

    fn figures(&self, node: &Node, number: usize) -> String {
        let expected = count(node.estimated_rows);
        // Per run, as the planner expects them.
        let rows = node.actual.as_ref().map_or_else(String::new, |actual| count(actual.rows));
        let is_off =
            self.findings.iter().any(|f| f.step == Some(number) && matches!(f.problem, pgtend_model::plan::Problem::RowEstimate { .. }));
        let expected = paint(&format!("{expected:>11}"), if is_off { Tone::Bad } else { Tone::Plain }, self.medium);
        let number = paint(&format!("{number:>3}"), Tone::Dim, self.medium);
        if !self.is_timed() {
            let figure =
                if self.plan.is_executed() { format!("{rows:>11}") } else { format!("{:>13}", format!("{:.2}", node.estimated_cost)) };
            return format!("{number} {figure} {expected}  ");
        }
        let alone = node.self_time_ms.unwrap_or(0.0);
        let share = self.plan.time_ms().filter(|whole| *whole > 0.0).map_or(0.0, |whole| (alone / whole).min(1.0));
        let tone = match share {
            share if share >= 0.5 => Tone::Bad,
            share if share >= 0.1 => Tone::Warn,
            _ => Tone::Plain,
        };
        let bar = if self.has_bars() { format!(" {}", paint(&bar(share), tone, self.medium)) } else { String::new() };
        let shown = paint(&format!("{:>9}", ms(alone)), tone, self.medium);
        format!("{number} {shown}{bar} {:>5} {rows:>11} {expected}  ", format!("{:.0} %", 100.0 * share))
    }

    /// A line, cut where the terminal ends.
    fn line(&mut self, figures: &str, branch: &str, text: &str, tone: Tone) {
        let text = harmless(text);
        let taken = visible(figures) + branch.chars().count();
        let shown = match self.medium.width {
            Some(width) if taken + text.chars().count() > usize::from(width) => {
                let room = usize::from(width).saturating_sub(taken + 1);
                format!("{}…", text.chars().take(room).collect::<String>())
            }
            _ => text,
        };
        let _never_fails = writeln!(self.out, "{figures}{}{}", paint(branch, Tone::Dim, self.medium), paint(&shown, tone, self.medium));
    }

    fn below(&mut self) {
        let mut facts = Vec::new();
        let mut fact = |name: &str, value: Option<String>| facts.extend(value.map(|value| format!("{name} {value}")));
        fact("execution", self.plan.execution_time_ms.map(ms));
        fact("planning", self.plan.planning_time_ms.map(ms));
        fact("JIT", self.plan.jit.as_ref().map(|jit| format!("{} functions, {}", jit.functions, jit.time_ms.map_or_else(String::new, ms))));
        for trigger in &self.plan.triggers {
            let name = trigger.constraint.as_ref().unwrap_or(&trigger.name);
            fact("trigger", Some(format!("{name} ×{} {}", count(trigger.calls), trigger.time_ms.map_or_else(String::new, ms))));
        }
        if let Some(buffers) = &self.plan.root.buffers {
            fact("blocks", Some(format!("{} hit, {} read", count(buffers.shared_hit), count(buffers.shared_read))));
            fact("temporary blocks", (buffers.temp_written > 0.0).then(|| count(buffers.temp_written)));
        }
        let settings: Vec<String> = self.plan.settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
        fact("settings", (!settings.is_empty()).then(|| settings.join(" ")));
        for line in wrapped(&harmless(&facts.join("; ")), width(self.medium).saturating_sub(4)) {
            let _never_fails = writeln!(self.out, "    {}", paint(&line, Tone::Dim, self.medium));
        }
    }
}

/// What belongs below a step: its conditions, and what was thrown away, sorted, hashed or missing.
fn details(node: &Node) -> Vec<String> {
    let mut lines: Vec<String> = node.conditions.iter().map(|condition| format!("{}: {}", condition.name, condition.text)).collect();
    if let Some(actual) = &node.actual {
        let removed = [
            (actual.removed_by_filter, "rows removed by filter"),
            (actual.removed_by_join_filter, "pairs removed by join filter"),
            (actual.removed_by_recheck, "rows removed by recheck"),
            (actual.heap_fetches, "heap fetches"),
            (actual.lossy_blocks, "lossy blocks"),
        ];
        let removed: Vec<String> =
            removed.iter().filter(|(figure, _)| *figure > 0.0).map(|(figure, what)| format!("{what}: {}", count(*figure))).collect();
        lines.extend((!removed.is_empty()).then(|| removed.join("; ")));
    }
    if let Some(sort) = &node.sort {
        let place = if sort.on_disk { "disk" } else { "memory" };
        lines.push(format!("sorted by {} in {:.0} kB of {place}", sort.method, sort.space_kb));
    }
    if let Some(hash) = node.hash.as_ref().filter(|hash| hash.batches > 1.0) {
        lines.push(format!("hashed in {:.0} batches, {:.0} kB of memory", hash.batches, hash.peak_memory_kb));
    }
    if let Some(workers) = &node.workers {
        lines.push(match workers.launched {
            Some(launched) => format!("workers: {launched:.0} of {:.0} launched", workers.planned),
            None => format!("workers: {:.0} planned", workers.planned),
        });
    }
    lines
}

/// Milliseconds with as many digits as tell something.
fn ms(ms: f64) -> String {
    match ms {
        ms if ms < 10.0 => format!("{ms:.2} ms"),
        ms if ms < 1000.0 => format!("{ms:.0} ms"),
        ms => show_seconds(ms / 1000.0),
    }
}

fn count(rows: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "rows are far below 2^63")]
    show_count(rows.round() as i64)
}

/// A bar of this share of its length, in eighths of a character.
fn bar(share: f64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a share is between 0 and 1")]
    let eighths = (share.clamp(0.0, 1.0) * (BAR * 8) as f64).round() as usize;
    let bar = format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8]);
    format!("{bar:<BAR$}")
}

/// Characters that are seen: colours are not.
fn visible(text: &str) -> usize {
    let mut steering = false;
    let seen = text.chars().filter(|c| {
        steering |= *c == '\u{1b}';
        let shown = !steering;
        steering &= *c != 'm';
        shown
    });
    seen.count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgtend_model::plan::finding::findings;
    use pgtend_model::plan::parse;

    fn plan(name: &str) -> (Plan, Vec<Finding>) {
        let path = format!("{}/../model/src/plan/testdata/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let plan = parse(&serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()).unwrap();
        let found = findings(&plan, &[]);
        (plan, found)
    }

    fn shown(name: &str, medium: Medium) -> String {
        let (plan, found) = plan(name);
        format!("{}\n{}", tree(&plan, &found, medium), wrong(&found, medium))
    }

    #[test]
    fn a_pipe_gets_everything() {
        insta::assert_snapshot!(shown("18/estimate", Medium { width: None, colour: false }));
    }

    #[test]
    fn a_terminal_is_not_overrun() {
        for (name, width) in [("13/parallel", 120), ("18/subplan", 80), ("18/generic", 80), ("15/jit", 100)] {
            let text = shown(name, Medium { width: Some(width), colour: false });
            assert!(text.lines().all(|line| line.chars().count() <= usize::from(width)), "{text}");
            insta::assert_snapshot!(format!("{}_{width}", name.replace('/', "_")), text);
        }
    }

    #[test]
    fn colours_change_nothing_else() {
        let plain = shown("18/estimate", Medium { width: Some(100), colour: false });
        let coloured = shown("18/estimate", Medium { width: Some(100), colour: true });
        assert!(coloured.contains('\u{1b}'));
        assert_eq!(visible(&coloured), visible(&plain));
    }
}
