//! How many copies were there when, as a drawing.

use std::fmt::Write as _;
use std::time::Duration;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 320.0;
/// Room for what the axes say.
const MARGIN: f64 = 48.0;
/// Colours that people who see few of them can tell apart.
const COLOURS: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];

/// How many of somebody's copies were there when.
#[derive(Clone, Debug)]
pub(crate) struct Curve {
    name: String,
    /// In seconds, sorted.
    times: Vec<f64>,
}

impl Curve {
    pub(crate) fn of(name: &str, times: &[Duration]) -> Self {
        let mut times: Vec<f64> = times.iter().map(Duration::as_secs_f64).collect();
        times.sort_by(f64::total_cmp);
        Self {
            name: name.to_owned(),
            times,
        }
    }
}

/// Draws the curves over one another.
pub(crate) fn svg(curves: &[Curve]) -> String {
    let longest = curves
        .iter()
        .filter_map(|it| it.times.last())
        .fold(0.0, |a: f64, b| a.max(*b));
    let most = curves
        .iter()
        .map(|it| it.times.len())
        .max()
        .unwrap_or_default();
    let x = |time: f64| MARGIN + time / longest.max(0.001) * (WIDTH - 2.0 * MARGIN);
    let y = |count: usize| {
        HEIGHT - MARGIN - count as f64 / most.max(1) as f64 * (HEIGHT - 2.0 * MARGIN)
    };
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <path d=\"M{MARGIN} {MARGIN} V{bottom} H{right}\" fill=\"none\" stroke=\"black\"/>\n\
         <text x=\"{MARGIN}\" y=\"{above}\">copies there: {most}</text>\n\
         <text x=\"{right}\" y=\"{below}\" text-anchor=\"end\">{longest:.1} s after the start</text>\n",
        bottom = HEIGHT - MARGIN,
        right = WIDTH - MARGIN,
        above = MARGIN - 8.0,
        below = HEIGHT - MARGIN + 20.0,
    );
    for (curve, (n, colour)) in curves.iter().zip(COLOURS.iter().cycle().enumerate()) {
        let mut path = format!("M{:.1} {:.1}", x(0.0), y(0));
        // As many points as can be seen.
        let every = (curve.times.len() / 300).max(1);
        let last = curve.times.len().saturating_sub(1);
        for (count, time) in curve.times.iter().enumerate() {
            if count % every == 0 || count == last {
                let _ = write!(path, " L{:.1} {:.1}", x(*time), y(count + 1));
            }
        }
        let _ = writeln!(
            out,
            "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"
        );
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\">{}</text>",
            MARGIN + 12.0,
            MARGIN + 18.0 + 16.0 * n as f64,
            escaped(&curve.name)
        );
    }
    out.push_str("</svg>\n");
    out
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
