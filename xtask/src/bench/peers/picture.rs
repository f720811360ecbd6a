//! The wall seconds as bars, one group for each corpus and work, Holdfast's first. Each group has a scale of its own:
//! its longest bar fills the width. Readable on light and dark ground, and without colour: every bar has its number.

use super::report::{Figures, Median, OURS};
use std::fmt::Write as _;

const WIDTH: f64 = 760.0;
const BAR_LEFT: f64 = 150.0;
const BAR_WIDTH: f64 = 520.0;
const LINE: f64 = 18.0;

/// Draws the figures. Never fails.
pub fn draw(figures: &Figures) -> String {
    let mut body = String::new();
    let mut y = 10.0;
    for (corpus, work, medians) in figures.medians() {
        y += LINE;
        let title = format!("{corpus}: {work}");
        let _ = writeln!(body, r#"<text x="10" y="{y}" class="title">{}</text>"#, escaped(&title));
        let longest = medians.iter().map(|one| one.wall_s).fold(f64::MIN_POSITIVE, f64::max);
        for Median { program, wall_s, .. } in &medians {
            y += LINE;
            let class = if program == OURS { "ours" } else { "theirs" };
            let (top, width) = (y - 11.0, (wall_s / longest * BAR_WIDTH).max(1.0));
            let _ =
                writeln!(body, r#"<text x="{}" y="{y}" text-anchor="end">{}</text>"#, BAR_LEFT - 8.0, escaped(program));
            let _ = writeln!(
                body,
                r#"<rect class="{class}" x="{BAR_LEFT}" y="{top}" width="{width:.1}" height="13" rx="2"/>"#
            );
            let _ = writeln!(body, r#"<text x="{:.1}" y="{y}">{wall_s:.2} s</text>"#, BAR_LEFT + width + 6.0);
        }
        y += LINE / 2.0;
    }
    let height = y + 10.0;
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">
<title>Wall seconds of Holdfast and its peers</title>
<style>
text {{ font: 13px system-ui, sans-serif; fill: #24292f; }}
.title {{ font-weight: 600; }}
.ours {{ fill: #0b7a53; }}
.theirs {{ fill: #8c959f; }}
@media (prefers-color-scheme: dark) {{ text {{ fill: #e6edf3; }} .ours {{ fill: #3fb68b; }} }}
</style>
{body}</svg>
"#
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
