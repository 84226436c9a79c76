//! The picture of how starts grow: one small diagram for each curve, for the book.

use std::fmt::Write;

use super::growth::Curve;

/// One diagram, in the picture's units: its axes, and the room for what stands beside them.
const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 120.0;
const LEFT: f64 = 80.0;
const ROW: f64 = 210.0;

/// The picture's colours are those of the book's others: paper, ink and the blue of a step.
const PAPER: &str = "#f4f0e6";
const EDGE: &str = "#b9b09a";
const INK: &str = "#22252b";
const BLUE: &str = "#17618f";

/// Draws the curves, one below the other. All of them have the same scale for time, so that they
/// can be compared.
pub fn draw(curves: &[Curve]) -> String {
    let longest = curves.iter().flat_map(|curve| &curve.points).map(|point| point.1);
    let top = nice_above(longest.fold(0.0, f64::max));
    let height = 20.0 + ROW * curves.len() as f64;
    let mut svg = String::new();
    let told: Vec<_> = curves.iter().map(told).collect();
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 480 {height}\" width=\"600\" \
         role=\"img\" aria-labelledby=\"growth-t growth-d\" font-family=\"ui-sans-serif, \
         system-ui, 'DejaVu Sans', sans-serif\">\n  <title id=\"growth-t\">How the time of a \
         start grows</title>\n  <desc id=\"growth-d\">{}</desc>\n  <rect x=\"1\" y=\"1\" \
         width=\"478\" height=\"{}\" rx=\"14\" fill=\"{PAPER}\" stroke=\"{EDGE}\" \
         stroke-width=\"2\"/>\n",
        told.join(" "),
        height - 2.0
    );
    for (row, curve) in curves.iter().enumerate() {
        diagram(&mut svg, curve, top, 20.0 + ROW * row as f64);
    }
    svg + "</svg>\n"
}

/// The curve in words, for who cannot see it.
fn told(curve: &Curve) -> String {
    let points = curve.points.iter().map(|(count, time)| format!("{count}: {time:.1} ms"));
    format!("{}: {}.", curve.title, points.collect::<Vec<_>>().join(", "))
}

fn diagram(svg: &mut String, curve: &Curve, top: f64, y: f64) {
    let (first, bottom) = (y + 40.0, y + 40.0 + HEIGHT);
    text(svg, LEFT - 50.0, y + 20.0, "start", 17, curve.title, "700");
    let _ = writeln!(
        svg,
        "  <path d=\"M{LEFT} {first} V{bottom} H{}\" fill=\"none\" stroke=\"{INK}\" \
         stroke-width=\"2\"/>",
        LEFT + WIDTH
    );
    text(svg, LEFT - 8.0, first + 6.0, "end", 15, &format!("{top} ms"), "400");
    text(svg, LEFT - 8.0, bottom, "end", 15, "0", "400");
    let most = curve.points.iter().map(|point| point.0).max().unwrap_or(1) as f64;
    let place = |(count, time): &(usize, f64)| {
        (LEFT + 10.0 + (WIDTH - 30.0) * *count as f64 / most, bottom - HEIGHT * time / top)
    };
    let line: Vec<_> =
        curve.points.iter().map(place).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let _ = writeln!(
        svg,
        "  <polyline points=\"{}\" fill=\"none\" stroke=\"{BLUE}\" stroke-width=\"3\"/>",
        line.join(" ")
    );
    let mut free_from = f64::MIN;
    for point in &curve.points {
        let (x, y) = place(point);
        let _ = writeln!(svg, "  <circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\" fill=\"{BLUE}\"/>");
        // The first ones stand close together: not all of their numbers have room.
        if x < free_from {
            continue;
        }
        free_from = x + 42.0;
        text(svg, x, bottom + 18.0, "middle", 15, &point.0.to_string(), "400");
        let shown = format!("{:.1}", point.1);
        match x < LEFT + 20.0 {
            true => text(svg, LEFT + 6.0, y - 10.0, "start", 15, &shown, "400"), // beside the axis
            false => text(svg, x, y - 10.0, "middle", 15, &shown, "400"),
        }
    }
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, size: u32, words: &str, weight: &str) {
    let _ = writeln!(
        svg,
        "  <text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" fill=\"{INK}\" \
         text-anchor=\"{anchor}\" font-weight=\"{weight}\">{words}</text>"
    );
}

/// The next of 1, 2, 5, 10, 20, 50 and so on that has room above `value`.
fn nice_above(value: f64) -> f64 {
    let mut nice = 1.0;
    loop {
        for factor in [1.0, 2.0, 5.0] {
            if nice * factor >= value * 1.1 {
                return nice * factor;
            }
        }
        nice *= 10.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_is_drawn_and_told() {
        let points = vec![(1, 2.0), (10, 2.5), (200, 8.0)];
        let svg = draw(&[Curve { title: "layers", points }]);
        assert_eq!(svg.matches("<circle").count(), 3);
        assert!(svg.contains("layers: 1: 2.0 ms, 10: 2.5 ms, 200: 8.0 ms."), "{svg}");
        assert!(svg.contains(">10 ms</text>"), "{svg}");
    }

    #[test]
    fn the_scale_ends_at_a_round_number() {
        assert_eq!([0.5, 1.0, 4.0, 9.0, 9.5].map(nice_above), [1.0, 2.0, 5.0, 10.0, 20.0]);
    }
}
