//! The section on a cluster, from what the tests of clusters measured.

use std::fmt::Write as _;

use super::plot::{Across, Plot};
use super::template::table;
use crate::bench::measure::number;
use crate::bench::record::{FiguresByName, Record};

/// What was measured, in which part of the record, and its figures.
const ROWS: [(&str, &str, &str); 11] = [
    (
        "import of {units:count} units through a server: a single machine; one node; three nodes, through one that is not the writer",
        "cluster",
        "{single_import_units_per_second:n}; {import_units_per_second:n}; {forwarded_import_units_per_second:n} units/s",
    ),
    (
        "lookup of a stored segment, p50: a single machine; a node",
        "cluster",
        "{single_lookup_p50_us:us}; {node_lookup_p50_us:us}, {lookup_ratio:n} times",
    ),
    (
        "lookups a second on one, two and three nodes, each with {cores_of_a_node:n} of a core",
        "cluster",
        "{lookups_per_second_1:n}; {lookups_per_second_2:n}; {lookups_per_second_3:n}",
    ),
    (
        "a write is found on another node after its acknowledgement",
        "cluster",
        "p50 {found_elsewhere_p50_us:us}, p99 {found_elsewhere_p99_us:us}",
    ),
    (
        "lookups on another node, with the number of a commit, that did not see it",
        "cluster",
        "{reads_of_own_writes_stale:count} of {reads_of_own_writes:count}",
    ),
    (
        "start of a new node with {units:count} units; restart with its copy; restart of the single machine",
        "cluster",
        "{new_node_seconds:s}; {node_restart_seconds:s}; {single_restart_seconds:s}",
    ),
    (
        "writes are back after the primary was killed and a standby promoted at once",
        "cluster",
        "{failover_seconds:s}; {failover_lookups_failed:count} of {failover_lookups:count} lookups failed meanwhile",
    ),
    (
        "{faults:count} faults of servers, nodes and connections, one after the other",
        "faults",
        "{acknowledged:count} acknowledged writes: 0 lost, 0 doubled; {lookups_failed:count} of {lookups:count} lookups failed",
    ),
    (
        "{failovers:count} failovers by Patroni",
        "patroni",
        "{acknowledged:count} acknowledged writes: 0 lost, 0 doubled; {lookups_failed:count} of {lookups:count} lookups failed",
    ),
    (
        "longest time without an acknowledged write: the leader's server killed; a switchover",
        "patroni",
        "{server_killed_seconds_max:s}; {switchover_seconds_max:s}",
    ),
    (
        "the same: the leader's machine killed, with a `ttl` of {ttl_seconds:s}",
        "patroni",
        "{machine_killed_seconds_max:s}",
    ),
];

/// Nodes up to which the plot goes, by calculation.
const NODES_MAX: u32 = 8;

/// The section; `origin` says what was measured, when and where.
pub(super) fn section(record: &Record, origin: &str) -> String {
    let mut section = format!(
        "\n## A cluster\n\n{origin}\nThree nodes over three servers of PostgreSQL, of which two have each commit before it is acknowledged, beside a \
         single machine with the embedded store: all in one run, and all on the cores of this machine.\n\n"
    );
    let rows = ROWS.iter().map(|(what, part, figures)| (*what, (*part).to_owned(), *figures));
    section += &table(record, rows).unwrap_or_default();
    if let Some(plot) = plot(record) {
        // Writing to a string cannot fail.
        let _ = write!(
            section,
            "\n![{}](measured/{PLOT})\n\nA lookup never leaves its node, so each node that has cores of its own adds as many: beyond three nodes the plot is \
             calculated from the mean of what a node did.\n",
            plot.title
        );
    }
    section
}

/// The file of the plot.
pub(super) const PLOT: &str = "nodes.svg";

/// Lookups a second by nodes; `None` where they were not measured with shares of the cores.
pub(super) fn plot(record: &Record) -> Option<Plot<'static>> {
    let figures = record.figures.get("cluster")?;
    let measured = measured(figures)?;
    let of_a_node =
        measured.iter().map(|(nodes, rate)| rate / nodes).sum::<f64>() / number(measured.len());
    let calculated = (3..=NODES_MAX).map(f64::from).map(|nodes| (nodes, nodes * of_a_node));
    Some(Plot {
        title: "Lookups a second on nodes with equal shares of the cores",
        unit: "n",
        is_log: false,
        across: Across::Nodes,
        lines: vec![("measured", measured.to_vec()), ("calculated", calculated.collect())],
    })
}

fn measured(figures: &FiguresByName) -> Option<[(f64, f64); 3]> {
    let rate = |name: &str| figures.get(name).copied();
    Some([
        (1.0, rate("lookups_per_second_1")?),
        (2.0, rate("lookups_per_second_2")?),
        (3.0, rate("lookups_per_second_3")?),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_measured_has_a_row_and_the_plot_goes_on() {
        let mut record = Record::begin();
        let rates = [("lookups_per_second_1", 100.0), ("lookups_per_second_2", 200.0)];
        let mut figures: FiguresByName =
            rates.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        record.put("cluster", figures.clone(), 1.0);
        assert!(plot(&record).is_none(), "three nodes were not measured");
        figures.insert("lookups_per_second_3".to_owned(), 330.0);
        figures.insert("cores_of_a_node".to_owned(), 0.25);
        record.put("cluster", figures, 1.0);
        record.commands.insert("cluster".to_owned(), "measure it".to_owned());
        let section = section(&record, "Here.");
        let row = "| lookups a second on one, two and three nodes, each with 0.25 of a core | `measure it` | 100; 200; 330 |\n";
        assert!(section.contains(row), "{section}");
        assert!(section.contains("](measured/nodes.svg)") && !section.contains('{'), "{section}");
        let plot = plot(&record).expect("a plot");
        let last = plot.lines[1].1.last().copied().expect("points");
        assert!((last.0 - 8.0).abs() < 1e-9 && (last.1 - 8.0 * 310.0 / 3.0).abs() < 1e-6);
    }
}
