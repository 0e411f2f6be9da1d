//! The chart: average active sessions over time, stacked by wait class, with a legend that is also the table of now.

use super::super::state::{State, WINDOWS};
use super::{LEGEND, SCALE, header, theme};
use pgtend_model::ash::WaitClass;
use pgtend_model::document::load::Bucket;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};

/// Lower blocks of one to eight eighths.
const EIGHTHS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State) {
    if area.height < 4 {
        return;
    }
    let Some(data) = &state.data else { return };
    let plot = Rect { x: area.x + SCALE, width: area.width.saturating_sub(SCALE + LEGEND), y: area.y, height: area.height - 1 };
    let series = &data.chart.series;
    let columns = usize::from(plot.width).min(series.len());
    let shown = &series[series.len() - columns..];
    let scale = Scale::of(shown, data.chart.cores, plot.height);
    draw_scale(frame, area, plot, &scale);
    if let Some(cores) = data.chart.cores.filter(|cores| *cores <= scale.top) {
        draw_cores(frame, plot, &scale, cores);
    }
    let first = plot.right() - u16::try_from(columns).unwrap_or(plot.width);
    for (place, bucket) in shown.iter().enumerate() {
        let x = first + u16::try_from(place).unwrap_or(0);
        column(frame, Rect { x, width: 1, ..plot }, bucket, &scale, state.colour);
    }
    draw_axis(frame, area, plot, state, shown);
    legend(frame, Rect { x: plot.right() + 1, width: LEGEND - 1, ..area }, state);
}

/// The height of the chart in sessions.
struct Scale {
    top: f64,
    rows: u16,
}

impl Scale {
    /// A round number at or above the highest bar; the cores are shown where they are not far above.
    fn of(series: &[Bucket], cores: Option<f64>, rows: u16) -> Self {
        let highest = series.iter().map(|bucket| bucket.classes.values().sum::<f64>()).fold(0.0, f64::max);
        let wanted = match cores {
            Some(cores) if cores <= highest * 2.0 => highest.max(cores),
            _ => highest,
        };
        let magnitude = 10f64.powf(wanted.max(0.1).log10().floor());
        let steps = [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
        let top = steps.iter().map(|step| step * magnitude).find(|top| *top >= wanted - 1e-9).unwrap_or(wanted);
        Self { top: top.max(1.0), rows }
    }

    fn eighths(&self, sessions: f64) -> f64 {
        sessions / self.top * f64::from(self.rows) * 8.0
    }
}

fn draw_scale(frame: &mut Frame<'_>, area: Rect, plot: Rect, scale: &Scale) {
    let label = |value: f64| if value < 10.0 && value.fract().abs() > 1e-9 { format!("{value:.1}") } else { format!("{value:.0}") };
    let at = |y: u16, text: String, frame: &mut Frame<'_>| {
        let width = SCALE - 1;
        frame.buffer_mut().set_stringn(area.x, y, format!("{text:>4}"), usize::from(width), theme::dim());
    };
    at(plot.y, label(scale.top), frame);
    if plot.height >= 6 {
        at(plot.y + plot.height / 2, label(scale.top / 2.0), frame);
    }
    for y in plot.y..plot.bottom() {
        frame.buffer_mut().set_string(plot.x - 1, y, "│", theme::dim());
    }
}

/// Above this line, sessions on CPU take turns.
fn draw_cores(frame: &mut Frame<'_>, plot: Rect, scale: &Scale, cores: f64) {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a row of the plot")]
    let row = (scale.eighths(cores) / 8.0).ceil() as u16;
    let y = plot.bottom().saturating_sub(row.clamp(1, plot.height));
    for x in plot.left()..plot.right() {
        frame.buffer_mut().set_string(x, y, "┄", theme::dim());
    }
    let text = format!(" {cores} cores ");
    frame.buffer_mut().set_string(plot.x, y, text, theme::dim());
}

/// One bar: every cell shows the class that its lower part belongs to, and behind it the next one.
fn column(frame: &mut Frame<'_>, area: Rect, bucket: &Bucket, scale: &Scale, colour: bool) {
    if bucket.samples == 0 {
        frame.buffer_mut().set_string(area.x, area.bottom() - 1, "·", theme::dim());
        return;
    }
    let mut pieces: Vec<(WaitClass, f64, f64)> = Vec::new();
    let mut level = 0.0;
    for class in WaitClass::ALL {
        let height = scale.eighths(bucket.classes.get(&class).copied().unwrap_or(0.0));
        if height > 0.0 {
            pieces.push((class, level, level + height));
            level += height;
        }
    }
    for row in 0..area.height {
        let (from, to) = (f64::from(row) * 8.0, f64::from(row + 1) * 8.0);
        let mut inside: Vec<(WaitClass, f64)> =
            pieces.iter().map(|(class, begin, end)| (*class, end.min(to) - begin.max(from))).filter(|(_, share)| *share > 0.5).collect();
        if inside.is_empty() && row == 0 && level > 0.0 {
            // Little is not nothing.
            inside = pieces.iter().map(|(class, begin, end)| (*class, (end - begin).max(1.0))).take(1).collect();
        }
        let y = area.bottom() - 1 - row;
        match (colour, inside.as_slice()) {
            (_, []) => {}
            (true, pieces) => coloured(frame, area.x, y, pieces),
            (false, pieces) => patterned(frame, area.x, y, pieces),
        }
    }
}

fn coloured(frame: &mut Frame<'_>, x: u16, y: u16, pieces: &[(WaitClass, f64)]) {
    let filled: f64 = pieces.iter().map(|(_, share)| share).sum();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "up to eight eighths")]
    let eighths = |share: f64| EIGHTHS[(share.round() as usize).clamp(1, 8)];
    let (first, share) = pieces[0];
    let (symbol, behind) = match pieces.get(1) {
        // The upper end of a bar has nothing behind it: then the larger of two classes has the cell.
        Some(_) if filled < 7.5 => {
            let largest = pieces.iter().max_by(|a, b| a.1.total_cmp(&b.1)).map_or(first, |(class, _)| *class);
            let style = Style::new().fg(theme::colour(largest));
            frame.buffer_mut().set_string(x, y, eighths(filled), style);
            return;
        }
        Some((next, _)) => (eighths(share), theme::colour(*next)),
        None => (eighths(share), Color::Reset),
    };
    frame.buffer_mut().set_string(x, y, symbol, Style::new().fg(theme::colour(first)).bg(behind));
}

fn patterned(frame: &mut Frame<'_>, x: u16, y: u16, pieces: &[(WaitClass, f64)]) {
    let Some((class, share)) = pieces.iter().max_by(|a, b| a.1.total_cmp(&b.1)) else { return };
    let filled: f64 = pieces.iter().map(|(_, share)| share).sum();
    let partial = filled < 7.5 && *class == WaitClass::Cpu && *share > filled - 0.5;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "up to eight eighths")]
    let symbol = if partial { EIGHTHS[(filled.round() as usize).clamp(1, 8)].to_owned() } else { theme::symbol(*class).to_string() };
    frame.buffer_mut().set_string(x, y, symbol, Style::new());
}

fn draw_axis(frame: &mut Frame<'_>, area: Rect, plot: Rect, state: &State, shown: &[Bucket]) {
    let y = area.bottom() - 1;
    let line = "─".repeat(usize::from(plot.width));
    frame.buffer_mut().set_string(plot.x - 1, y, format!("└{line}"), theme::dim());
    let window = match WINDOWS[state.window] {
        seconds if seconds < 3600.0 => format!(" last {:.0} min ", seconds / 60.0),
        seconds => format!(" last {:.0} h ", seconds / 3600.0),
    };
    frame.buffer_mut().set_string(plot.x, y, window, theme::dim());
    if let Some(last) = shown.last() {
        let text = format!(" {} ", header::time(state, last.at));
        let width = u16::try_from(text.len()).unwrap_or(0);
        frame.buffer_mut().set_string(plot.right().saturating_sub(width), y, text, theme::dim());
    }
}

/// The classes of the last minute, largest first.
fn legend(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let Some(data) = &state.data else { return };
    let total = data.load.average_active_sessions.map_or_else(|| "?".to_owned(), |average| format!("{average:.1}"));
    let title = Line::from(vec![Span::styled("active, 1 min", theme::dim())]);
    frame.render_widget(title, Rect { height: 1, ..area });
    frame.render_widget(Line::from(Span::styled(total, theme::strong())).right_aligned(), Rect { height: 1, y: area.y, ..area });
    let rows = usize::from(area.height.saturating_sub(1));
    for (place, class) in data.load.classes.iter().filter(|class| class.average >= 0.005).take(rows).enumerate() {
        let at = Rect { y: area.y + 1 + u16::try_from(place).unwrap_or(0), height: 1, ..area };
        let symbol = if state.colour { '█' } else { theme::symbol(class.wait_class) };
        let swatch = Span::styled(symbol.to_string(), Style::new().fg(theme::colour(class.wait_class)));
        let name = Span::raw(format!(" {:<12}", class.wait_class.name()));
        let figures = Span::raw(format!("{:>6.2}", class.average));
        frame.render_widget(Line::from(vec![swatch, name, figures]), at);
    }
}
