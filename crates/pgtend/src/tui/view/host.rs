//! The host's tab: processors, memory, pressure, disks, file systems, network.

use super::super::state::{Part, State};
use super::theme;
use pgtend_model::document::host::{Device, Filesystem, Host, Interface};
use pgtend_model::units::{harmless, short_bytes};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let Some(Part::Host(host)) = state.data.as_ref().map(|data| &data.part) else { return };
    frame.render_widget(Paragraph::new(lines(host)), area);
}

fn lines(host: &Host) -> Vec<Line<'static>> {
    if let Some(why) = host.unknown.get("cpu") {
        return vec![Line::styled(format!("  {}", harmless(&why.detail)), theme::dim())];
    }
    let mut lines = vec![processors(host), memory(host)];
    lines.extend(pressure(host));
    lines.push(Line::styled(
        " DISK       READ/s  WRITE/s      READ     WRITE    r_ms    w_ms    f_ms  BUSY%  QUEUE  CARRIES",
        theme::strong(),
    ));
    lines.extend(host.disks.iter().map(disk));
    lines.push(Line::styled(" FILES      USED%      LEFT      SIZE  PATH", theme::strong()));
    lines.extend(host.filesystems.iter().map(filesystem));
    if !host.interfaces.is_empty() {
        lines.push(Line::styled(" NETWORK        IN/s     OUT/s  ERRORS/s", theme::strong()));
        lines.extend(host.interfaces.iter().map(interface));
    }
    lines.extend(
        host.unknown.iter().map(|(place, why)| Line::styled(format!(" {place} unknown: {}", harmless(&why.detail)), theme::warn())),
    );
    lines
}

fn named(name: &'static str) -> Span<'static> {
    Span::styled(name, theme::dim())
}

fn percent(figure: Option<f64>, warn: f64, bad: f64) -> Span<'static> {
    figure
        .map_or_else(|| Span::styled("?", theme::dim()), |percent| Span::styled(format!("{percent:.0}%"), theme::grade(percent, warn, bad)))
}

fn processors(host: &Host) -> Line<'static> {
    let modes = &host.modes;
    let mut spans = vec![
        Span::styled(" CPU ", theme::strong()),
        percent(host.cpu.used_percent, 85.0, 97.0),
        named(" of "),
        Span::raw(host.cpu.cores.map_or_else(|| "?".to_owned(), |cores| cores.to_string())),
        named("  user "),
        percent(modes.user, 101.0, 101.0),
        named("  system "),
        percent(modes.system, 30.0, 60.0),
        named("  iowait "),
        percent(modes.iowait, 20.0, 50.0),
        named("  steal "),
        percent(modes.steal, 5.0, 20.0),
    ];
    if let [one, five, fifteen] = host.load[..] {
        spans.extend([named("  load "), Span::raw(format!("{one:.1} {five:.1} {fifteen:.1}"))]);
    }
    Line::from(spans)
}

#[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
fn bytes(count: Option<i64>) -> String {
    count.map_or_else(|| "?".to_owned(), |count| short_bytes(count as f64))
}

fn memory(host: &Host) -> Line<'static> {
    let swapped = host.memory.swap_used_bytes.filter(|used| *used > 0);
    Line::from(vec![
        Span::styled(" MEM ", theme::strong()),
        percent(host.memory.used_percent, 90.0, 97.0),
        named("  of "),
        Span::raw(bytes(host.memory.total_bytes)),
        named("  available "),
        Span::raw(bytes(host.memory.available_bytes)),
        named("  swap used "),
        Span::styled(bytes(host.memory.swap_used_bytes), if swapped.is_some() { theme::warn() } else { Style::new() }),
    ])
}

fn pressure(host: &Host) -> Option<Line<'static>> {
    if host.pressure.is_empty() {
        return None;
    }
    let mut spans = vec![Span::styled(" PRESSURE, 10 s ", theme::strong())];
    for pressure in &host.pressure {
        spans.push(Span::styled(format!(" {} ", pressure.resource), theme::dim()));
        spans.push(Span::styled(format!("{:.0}%", pressure.some_percent), theme::grade(pressure.some_percent, 20.0, 50.0)));
        if let Some(full) = pressure.full_percent {
            spans.push(Span::styled(format!(" (all {full:.0}%)"), theme::dim()));
        }
    }
    Some(Line::from(spans))
}

fn rate(rate: Option<f64>) -> String {
    rate.map_or_else(|| "?".to_owned(), |rate| format!("{rate:.0}"))
}

fn flow(bytes: Option<f64>) -> String {
    bytes.map_or_else(|| "?".to_owned(), |bytes| format!("{}/s", short_bytes(bytes)))
}

fn milliseconds(ms: Option<f64>) -> String {
    ms.map_or_else(|| "–".to_owned(), |ms| format!("{ms:.2}"))
}

fn disk(disk: &Device) -> Line<'static> {
    let busy = disk.busy_percent;
    Line::from(vec![
        Span::raw(harmless(&format!(
            " {:<9} {:>7} {:>8} {:>9} {:>9} {:>7} {:>7} {:>7} ",
            disk.device,
            rate(disk.reads_per_second),
            rate(disk.writes_per_second),
            flow(disk.read_bytes_per_second),
            flow(disk.write_bytes_per_second),
            milliseconds(disk.read_ms),
            milliseconds(disk.write_ms),
            milliseconds(disk.flush_ms),
        ))),
        Span::styled(format!("{:>6}", rate(busy)), busy.map_or_else(Style::new, |busy| theme::grade(busy, 80.0, 95.0))),
        Span::raw(harmless(&format!(" {:>6}  {}", disk.queue.map_or_else(|| "?".to_owned(), |queue| format!("{queue:.1}")), disk.carries))),
    ])
}

fn filesystem(filesystem: &Filesystem) -> Line<'static> {
    let used = Span::styled(format!("{:>6.0}%", filesystem.used_percent), theme::grade(filesystem.used_percent, 80.0, 90.0));
    let sizes = format!(" {:>9} {:>9}  ", bytes(Some(filesystem.available_bytes)), bytes(Some(filesystem.size_bytes)));
    Line::from(vec![Span::raw(format!(" {:<9}", filesystem.role)), used, Span::raw(sizes), Span::raw(harmless(&filesystem.path))])
}

fn interface(interface: &Interface) -> Line<'static> {
    let errors = interface.errors_per_second.unwrap_or(0.0);
    Line::from(vec![
        Span::raw(harmless(&format!(
            " {:<10} {:>8} {:>9} ",
            interface.interface,
            flow(interface.receive_bytes_per_second),
            flow(interface.transmit_bytes_per_second)
        ))),
        Span::styled(format!("{:>9}", rate(interface.errors_per_second)), if errors > 0.0 { theme::bad() } else { Style::new() }),
    ])
}
