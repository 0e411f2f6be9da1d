//! Charts as SVG: stacked sessions over time, and small courses within tables.

use super::html::escaped;
use pgtend_model::awr::page::{Chart, short_number};
use std::fmt::Write as _;

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 240.0;
/// Room for the figures at the left, and for the times below.
const LEFT: f64 = 42.0;
const BELOW: f64 = 24.0;
const TOP: f64 = 8.0;

/// Sessions over time.
pub fn chart(chart: &Chart) -> String {
    let top = nice(chart.peak().max(chart.line.as_ref().map_or(0.0, |(_, height)| *height * 1.08)));
    let place = Place { top, steps: chart.at.len().max(1) };
    let label = format!("{}: at most {} at a time", chart.title, short_number(chart.peak()));
    let mut svg = format!("<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">", escaped(&label));
    grid(&mut svg, &place);
    for step in 0..chart.at.len() {
        column(&mut svg, chart, &place, step);
    }
    if let Some((name, height)) = &chart.line {
        let y = place.y(*height);
        let _never_fails = write!(
            svg,
            "<line class=\"limit\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\"><title>{height} {}</title></line>",
            escaped(name)
        );
    }
    times(&mut svg, chart, &place);
    svg.push_str("</svg>");
    svg
}

struct Place {
    top: f64,
    steps: usize,
}

#[expect(clippy::cast_precision_loss, reason = "a handful of steps")]
impl Place {
    fn x(&self, step: usize) -> f64 {
        LEFT + (WIDTH - LEFT) * step as f64 / self.steps as f64
    }

    fn y(&self, height: f64) -> f64 {
        TOP + (HEIGHT - BELOW - TOP) * (1.0 - height / self.top)
    }
}

fn grid(svg: &mut String, place: &Place) {
    for line in 0..=4 {
        let height = place.top * f64::from(line) / 4.0;
        let y = place.y(height);
        let _never_fails = write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 6.0,
            y + 4.0,
            short_number(height).trim_end_matches(".00").trim_end_matches(".0")
        );
    }
}

fn column(svg: &mut String, chart: &Chart, place: &Place, step: usize) {
    let (x, width) = (place.x(step), (place.x(step + 1) - place.x(step)).max(0.5));
    let at = chart.at[step].strftime("%Y-%m-%d %H:%M:%S");
    let is_sampled = chart.series.is_empty() || chart.series.iter().any(|(_, heights)| heights.get(step).copied().flatten().is_some());
    if !is_sampled {
        let height = HEIGHT - BELOW - TOP;
        let _never_fails = write!(
            svg,
            "<rect class=\"gap\" x=\"{x:.1}\" y=\"{TOP}\" width=\"{width:.1}\" height=\"{height}\"><title>{at}: not sampled</title></rect>"
        );
        return;
    }
    let parts = chart.series.iter().filter_map(|(name, heights)| Some((name, heights.get(step).copied().flatten()?)));
    let parts: Vec<(&String, f64)> = parts.filter(|(_, height)| *height > 0.0).collect();
    let told: Vec<String> = parts.iter().map(|(name, height)| format!("{name} {}", short_number(*height))).collect();
    let _never_fails = write!(svg, "<g><title>{at}: {}</title>", escaped(&told.join(", ")));
    let mut below = 0.0;
    for (name, height) in parts {
        let (y, foot) = (place.y(below + height), place.y(below));
        let _never_fails = write!(
            svg,
            "<rect class=\"c-{}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
            escaped(name),
            width + 0.15,
            foot - y
        );
        below += height;
    }
    svg.push_str("</g>");
}

fn times(svg: &mut String, chart: &Chart, place: &Place) {
    let steps = chart.at.len();
    let every = steps.div_ceil(8).max(1);
    let days = chart.at.first().zip(chart.at.last()).is_some_and(|(first, last)| last.duration_since(*first).as_hours() >= 24);
    let form = match (days, chart.step_seconds < 60.0) {
        (true, _) => "%m-%d %H:%M",
        (false, true) => "%H:%M:%S",
        (false, false) => "%H:%M",
    };
    for step in (0..steps).step_by(every).filter(|step| steps - step > every / 3) {
        let x = place.x(step);
        let time = chart.at[step].strftime(form);
        let _never_fails = write!(svg, "<text x=\"{x:.1}\" y=\"{:.1}\">{time}</text>", HEIGHT - 6.0);
    }
}

/// The next round number, in steps that are divided by four well.
fn nice(peak: f64) -> f64 {
    if peak <= 0.0 {
        return 1.0;
    }
    let magnitude = 10_f64.powf(peak.log10().floor());
    let fits = [1.0, 2.0, 4.0, 6.0, 8.0, 10.0].into_iter().map(|step| step * magnitude).find(|round| *round >= peak * 0.999);
    fits.unwrap_or(10.0 * magnitude)
}

/// How something went, in the size of a word.
pub fn course(course: &[Option<f64>]) -> String {
    let peak = course.iter().flatten().copied().fold(f64::MIN_POSITIVE, f64::max);
    let mut svg = format!(
        "<svg class=\"course\" viewBox=\"0 0 {} 16\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"at most {}\">",
        course.len().max(1),
        short_number(peak)
    );
    for (step, height) in course.iter().enumerate() {
        let _never_fails = match height {
            None => write!(svg, "<rect class=\"gap\" x=\"{step}\" y=\"14\" width=\"1\" height=\"2\"/>"),
            Some(height) if *height <= 0.0 => Ok(()),
            Some(height) => {
                let tall = (height / peak * 16.0).max(0.6);
                write!(svg, "<rect x=\"{step}\" y=\"{:.1}\" width=\"1.02\" height=\"{tall:.1}\"/>", 16.0 - tall)
            }
        };
    }
    svg.push_str("</svg>");
    svg
}

#[cfg(test)]
mod tests {
    use super::nice;

    #[test]
    fn the_scale_ends_at_a_round_number() {
        assert_eq!([0.0, 0.3, 1.0, 3.7, 8.0, 9.5, 43.0].map(nice), [1.0, 0.4, 1.0, 4.0, 8.0, 10.0, 60.0]);
    }
}
