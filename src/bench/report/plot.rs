//! Draws line plots as SVG: over sizes, each ten times the one before, or over numbers of nodes.

use std::fmt::Write as _;

use super::template::written;

/// What grows from left to right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Across {
    Units,
    Nodes,
}

/// Lines over the size of a memory or of a cluster.
pub(super) struct Plot<'a> {
    pub(super) title: &'a str,
    /// Unit of the vertical axis, as in [`written`].
    pub(super) unit: &'a str,
    /// Whether equal distances on the vertical axis are equal ratios.
    pub(super) is_log: bool,
    pub(super) across: Across,
    /// Name and points of each line: units or nodes, and the figure.
    pub(super) lines: Vec<(&'a str, Vec<(f64, f64)>)>,
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
/// Left, top, right and bottom of the area with the lines.
const AREA: [f64; 4] = [90.0, 48.0, 610.0, 310.0];
const COLOURS: [&str; 4] = ["#0b62a4", "#c1440e", "#3a7d2c", "#6a3d9a"];

/// The ends of an axis and the places of its marks.
struct Axis {
    is_log: bool,
    low: f64,
    high: f64,
    marks: Vec<f64>,
}

impl Axis {
    /// From one power of ten to another.
    fn of_powers(values: impl Iterator<Item = f64>) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for exponent in values.filter(|it| *it > 0.0).map(f64::log10) {
            // A power itself is no reason for another one beyond it.
            low = low.min((exponent + 1e-9).floor());
            high = high.max((exponent - 1e-9).ceil());
        }
        if !low.is_finite() {
            (low, high) = (0.0, 1.0);
        }
        let high = high.max(low + 1.0);
        let mut marks = Vec::new();
        let mut exponent = low;
        while exponent <= high {
            marks.push(10_f64.powf(exponent));
            exponent += 1.0;
        }
        Self { is_log: true, low, high, marks }
    }

    /// From zero to a round number, in four or five steps.
    fn from_zero(values: impl Iterator<Item = f64>) -> Self {
        let most = values.fold(0.0, f64::max);
        let most = if most > 0.0 { most } else { 1.0 };
        let power = 10_f64.powf((most / 4.0).log10().floor());
        let steps = [1.0, 2.0, 2.5, 5.0, 10.0].map(|it| it * power);
        let step = steps.into_iter().find(|step| step * 5.0 >= most).unwrap_or(10.0 * power);
        let count = [4.0, 5.0].into_iter().find(|count| step * count >= most * (1.0 - 1e-9));
        let high = step * count.unwrap_or(5.0);
        let marks = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0].map(|it| it * step);
        let marks = marks.into_iter().filter(|mark| *mark <= high).collect();
        Self { is_log: false, low: 0.0, high, marks }
    }

    /// From zero to the largest of some counts, one by one.
    fn of_counts(counts: impl Iterator<Item = f64>) -> Self {
        let high = counts.fold(1.0, f64::max);
        let marks = std::iter::successors(Some(0.0), |mark| Some(mark + 1.0));
        let marks = marks.take_while(|mark| *mark <= high).collect();
        Self { is_log: false, low: 0.0, high, marks }
    }

    /// Where a value is, from 0 to 1.
    fn place(&self, value: f64) -> f64 {
        let value = if self.is_log { value.log10() } else { value };
        (value - self.low) / (self.high - self.low)
    }
}

impl Plot<'_> {
    /// The plot as an SVG document.
    pub(super) fn svg(&self) -> String {
        let points = || self.lines.iter().flat_map(|(_, points)| points);
        let sizes = points().map(|it| it.0);
        let across = match self.across {
            Across::Units => Axis::of_powers(sizes),
            Across::Nodes => Axis::of_counts(sizes),
        };
        let values = points().map(|it| it.1);
        let up = if self.is_log { Axis::of_powers(values) } else { Axis::from_zero(values) };
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
             <text x=\"{}\" y=\"22\" font-size=\"15\">{}</text>\n",
            AREA[0], self.title
        );
        self.draw_marks(&mut svg, &across, &up);
        for (number, line) in self.lines.iter().enumerate() {
            draw_line(&mut svg, number, line, &across, &up);
        }
        svg.push_str("</svg>\n");
        svg
    }

    /// A grid, with the values of its lines.
    fn draw_marks(&self, svg: &mut String, across: &Axis, up: &Axis) {
        let [left, top, right, bottom] = AREA;
        // Writing to a string cannot fail.
        for mark in &across.marks {
            let (x, label) = (x(across, *mark), written(*mark, "count").unwrap_or_default());
            let y = bottom + 18.0;
            let _ = writeln!(
                svg,
                "<path d=\"M{x:.1} {top}V{bottom}\" stroke=\"#ddd\"/>\
                 <text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{label}</text>",
            );
        }
        for mark in &up.marks {
            let (y, label) = (y(up, *mark), written(*mark, self.unit).unwrap_or_default());
            let _ = writeln!(
                svg,
                "<path d=\"M{left} {y:.1}H{right}\" stroke=\"#ddd\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
                left - 8.0,
                y + 4.0
            );
        }
        let (middle, below) = (f64::midpoint(left, right), bottom + 38.0);
        let _ = writeln!(
            svg,
            "<text x=\"{middle:.1}\" y=\"{below:.1}\" text-anchor=\"middle\">{}</text>",
            match self.across {
                Across::Units => "units",
                Across::Nodes => "nodes",
            }
        );
    }
}

fn x(across: &Axis, units: f64) -> f64 {
    AREA[0] + across.place(units) * (AREA[2] - AREA[0])
}

fn y(up: &Axis, value: f64) -> f64 {
    AREA[3] - up.place(value) * (AREA[3] - AREA[1])
}

/// A line with its points and, above the area, its name.
fn draw_line(
    svg: &mut String,
    number: usize,
    (name, points): &(&str, Vec<(f64, f64)>),
    across: &Axis,
    up: &Axis,
) {
    const NAME_WIDTH: usize = 170;
    let colour = COLOURS[number % COLOURS.len()];
    let place = |(units, value): &(f64, f64)| (x(across, *units), y(up, *value));
    let path: Vec<String> =
        points.iter().map(place).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    // Writing to a string cannot fail.
    let _ = writeln!(
        svg,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
        path.join(" ")
    );
    for (x, y) in points.iter().map(place) {
        let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>");
    }
    let (left, shift) = (AREA[0], number * NAME_WIDTH);
    let _ =
        writeln!(svg, "<text x=\"{left}\" y=\"40\" dx=\"{shift}\" fill=\"{colour}\">{name}</text>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_of_powers_ends_at_the_powers_around_its_values() {
        let axis = Axis::of_powers([10_000.0, 1_000_000.0].into_iter());
        assert_eq!((axis.low, axis.high, axis.marks.len()), (4.0, 6.0, 3));
        assert!((axis.place(100_000.0) - 0.5).abs() < 1e-9);
        let axis = Axis::of_powers([20_000.0].into_iter());
        assert_eq!((axis.low, axis.high), (4.0, 5.0));
        let axis = Axis::of_powers(std::iter::empty());
        assert_eq!((axis.low, axis.high), (0.0, 1.0));
    }

    #[test]
    fn an_axis_from_zero_has_round_marks_beyond_its_values() {
        for (most, high, marks) in [(48_000.0, 50_000.0, 6), (61.0, 80.0, 5), (0.0, 1.0, 6)] {
            let axis = Axis::from_zero([most / 3.0, most].into_iter());
            assert!((axis.high - high).abs() < 1e-9, "{most}: {}", axis.high);
            assert_eq!(axis.marks.len(), marks, "{most}: {:?}", axis.marks);
        }
    }

    #[test]
    fn an_axis_of_counts_has_each_of_them() {
        let axis = Axis::of_counts([1.0, 3.0].into_iter());
        assert_eq!((axis.high, axis.marks.len()), (3.0, 4));
        let lines = vec![("one", vec![(1.0, 5.0), (3.0, 10.0)])];
        let plot = Plot { title: "t", unit: "n", is_log: false, across: Across::Nodes, lines };
        assert!(plot.svg().contains(">nodes<"));
    }

    #[test]
    fn each_point_is_where_its_value_is() {
        let lines = vec![("one", vec![(100.0, 0.0), (1_000.0, 10.0)])];
        let plot = Plot { title: "t", unit: "n", is_log: false, across: Across::Units, lines };
        let svg = plot.svg();
        assert!(svg.contains("points=\"90.0,310.0 610.0,48.0\""), "{svg}");
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        for label in [">100<", ">1,000<", ">0<", ">10<", ">one<", ">t<"] {
            assert!(svg.contains(label), "{label}: {svg}");
        }
    }
}
