//! What memories that were not measured would cost: calculated from the two largest that were.

use crate::bench::record::FiguresByName;

use super::template::written;

/// Sizes to calculate.
const UNITS: [f64; 3] = [1e8, 3e8, 1e9];
/// The two measured sizes must differ by this factor, and the larger one must have as many units, or their difference says little.
const FACTOR_MIN: f64 = 3.0;
const UNITS_MIN: f64 = 1e6;
/// Memory of a machine that a node may fill: the rest is for the system, imports and the cache of files.
const NODE_BYTES: f64 = 48e9;

/// A cost that grows with each unit, or with a power of their number.
enum Growth {
    /// The figure is a total.
    Total,
    /// The figure is for one unit.
    PerUnit,
    /// Doubling the units always multiplies the figure by the same factor.
    Power,
}

/// Columns: title, figure, how it grows, and the unit of the result.
const COLUMNS: [(&str, &str, Growth, &str); 7] = [
    ("memory of one node", "memory_bytes_per_unit", Growth::PerUnit, "gb"),
    ("disk of one node", "disk_bytes_per_unit", Growth::PerUnit, "gb"),
    ("start from checkpoint", "start_from_checkpoint_seconds", Growth::Total, "s"),
    ("start from store", "start_from_store_seconds", Growth::Total, "s"),
    ("import", "import_wall_seconds", Growth::Total, "s"),
    ("lookup p50", "engine_p50_us", Growth::Power, "us"),
    ("lookup p99", "engine_p99_us", Growth::Power, "us"),
];

/// The section; `None` where the measured sizes are too small, or too near to each other.
pub(super) fn section(sizes: &[&FiguresByName]) -> Option<String> {
    let [.., smaller, larger] = sizes else { return None };
    let units = (*smaller.get("units")?, *larger.get("units")?);
    if units.1 < UNITS_MIN || units.1 < FACTOR_MIN * units.0 {
        return None;
    }
    let mut titles = vec!["units"];
    titles.extend(COLUMNS.iter().map(|(title, ..)| *title));
    titles.push("nodes to share it");
    let mut rows = vec![titles.join(" | "), vec!["---"; titles.len()].join(" | ")];
    for wanted in UNITS {
        let mut cells = vec![written(wanted, "count")?];
        for (_, name, growth, unit) in &COLUMNS {
            let measured = (*smaller.get(*name)?, *larger.get(*name)?);
            let mut value = at(wanted, growth, units, measured);
            if *unit == "gb" {
                value /= 1e9;
            }
            cells.push(match *unit {
                "gb" => format!("{} GB", written(value, "n")?),
                unit => written(value, unit)?,
            });
        }
        let memory =
            (*smaller.get("memory_bytes_per_unit")?, *larger.get("memory_bytes_per_unit")?);
        let nodes = (at(wanted, &Growth::PerUnit, units, memory) / NODE_BYTES).ceil();
        cells.push(written(nodes, "count")?);
        rows.push(cells.join(" | "));
    }
    let rows = format!("| {} |", rows.join(" |\n| "));
    Some(format!(
        "\n## A billion units, by calculation\n\n\
         Not measured: calculated from {} and {} units of the table above. Bytes and seconds grow by what each further unit has added; the time \
         of a lookup by the power of the number of units between the two. The last column is the number of machines of 64 GB that would \
         share the units out (see [cluster.md](cluster.md)), each with {} GB for them.\n\n{rows}\n\n\
         The memory of one machine is what ends first, long before its disk or the time of a lookup. Next is the time that a node takes \
         to start without its checkpoint.\n",
        written(units.0, "count")?,
        written(units.1, "count")?,
        written(NODE_BYTES / 1e9, "n")?,
    ))
}

/// A figure at a number of units, from two measured ones.
fn at(wanted: f64, growth: &Growth, units: (f64, f64), measured: (f64, f64)) -> f64 {
    let further = |totals: (f64, f64)| {
        let each = ((totals.1 - totals.0) / (units.1 - units.0)).max(0.0);
        totals.1 + each * (wanted - units.1)
    };
    match growth {
        Growth::Total => further(measured),
        Growth::PerUnit => further((measured.0 * units.0, measured.1 * units.1)),
        Growth::Power => {
            let power = (measured.1 / measured.0).ln() / (units.1 / units.0).ln();
            measured.1 * (wanted / units.1).powf(power.max(0.0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_grow_as_between_the_two_largest_sizes() {
        let units = (1e6, 1e7);
        // 50 MB, and 300 bytes a unit.
        let each = (350.0, 305.0);
        let bytes = at(1e9, &Growth::PerUnit, units, each);
        assert!((bytes - (5e7 + 300.0 * 1e9)).abs() < 1e3, "{bytes}");
        assert!((at(1e8, &Growth::Total, units, (1.0, 10.0)) - 100.0).abs() < 1e-6);
        assert!((at(1e9, &Growth::Power, units, (10.0, 20.0)) - 80.0).abs() < 1e-6);
        // What became cheaper is not taken to become ever cheaper.
        assert!((at(1e9, &Growth::Power, units, (20.0, 10.0)) - 10.0).abs() < 1e-6);
    }

    #[test]
    fn sizes_that_say_little_have_no_section() {
        let figures = |units: f64| {
            let names = COLUMNS.iter().map(|(_, name, ..)| ((*name).to_owned(), units.sqrt()));
            let mut figures: FiguresByName = names.collect();
            figures.insert("units".to_owned(), units);
            figures
        };
        let [small, million, two, ten] = [1e4, 1e6, 2e6, 1e7].map(figures);
        assert!(section(&[&small]).is_none());
        assert!(section(&[&million, &two]).is_none());
        assert!(section(&[&two, &ten]).expect("two sizes").contains("| 1,000,000,000 |"));
        assert!(section(&[&small, &small]).is_none());
    }
}
