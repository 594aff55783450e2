//! `dhakira bench report`: writes the page of figures from what was measured.

mod cluster;
mod plot;
mod projection;
mod rows;
mod template;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use super::record::{FiguresByName, Record};

use plot::{Across, Plot};
use rows::SECTIONS;
use template::{table, written};

/// Writes measured.md, its plots and the figures that they were made from.
///
/// The page is DIR/measured.md; plots and figures are in DIR/measured. The same figures always make the same page.
#[derive(Debug, Args)]
pub(super) struct BenchReport {
    /// What `dhakira bench all --json` printed.
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// What `dhakira bench scale --json` printed.
    #[arg(long, value_name = "FILE")]
    scale: Option<PathBuf>,
    /// What the tests of clusters measured.
    #[arg(long, value_name = "FILE")]
    cluster: Option<PathBuf>,
    /// Directory of the page.
    #[arg(long, value_name = "DIR", default_value = "docs")]
    output: PathBuf,
}

impl BenchReport {
    /// Blocks.
    pub(super) fn run(self) -> anyhow::Result<()> {
        let all = Record::read(&self.from)?;
        let scale = self.scale.as_deref().map(Record::read).transpose()?;
        let cluster = self.cluster.as_deref().map(Record::read).transpose()?;
        let directory = self.output.join("measured");
        std::fs::create_dir_all(&directory)
            .with_context(|| format!("creating {}", directory.display()))?;
        write(&self.output.join("measured.md"), &page(&all, scale.as_ref(), cluster.as_ref()))?;
        write(&directory.join("all.json"), &json(&all)?)?;
        if let Some(scale) = &scale {
            write(&directory.join("scale.json"), &json(scale)?)?;
            let sizes = sizes(scale);
            for (file, plot) in plots(&sizes) {
                write(&directory.join(file), &plot.svg())?;
            }
        }
        if let Some(cluster) = &cluster {
            write(&directory.join("cluster.json"), &json(cluster)?)?;
            if let Some(plot) = cluster::plot(cluster) {
                write(&directory.join(cluster::PLOT), &plot.svg())?;
            }
        }
        Ok(())
    }
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

/// A record with a line for each figure, so that changes can be read.
fn json(record: &Record) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(record)? + "\n")
}

/// The page.
fn page(all: &Record, scale: Option<&Record>, cluster: Option<&Record>) -> String {
    let mut page = format!(
        "# What was measured\n\n\
         `dhakira bench report` made this page from the files in [measured](measured); do not edit it.\n\
         To measure again:\n\n```sh\n\
         dhakira bench all --corpus CORPUS --queries QUERIES --docs DOCS --list LIST --links LINKS --json > all.json\n\
         dhakira bench scale --corpus CORPUS --queries QUERIES --sizes 10000,100000,1000000,10000000 --json > scale.json\n\
         dhakira bench report --from all.json --scale scale.json --cluster cluster.json\n```\n\n\
         The tests of clusters write cluster.json themselves, where `DHAKIRA_FIGURES_JSON` names it.\n\n{}\n",
        origin(all),
    );
    // Writing to a string cannot fail.
    for section in &SECTIONS {
        let rows = section.rows.iter().map(|(what, part, figures)| (*what, part.name(), *figures));
        if let Some(table) = table(all, rows) {
            let _ = write!(page, "\n## {}\n\n{table}", section.title);
        }
    }
    if let Some(scale) = scale {
        page.push_str(&growth(scale));
    }
    if let Some(cluster) = cluster {
        page.push_str(&cluster::section(cluster, &origin(cluster)));
    }
    if !all.skipped.is_empty() {
        page.push_str("\n## Not measured\n\n");
        for (part, reason) in &all.skipped {
            let _ = writeln!(page, "- `{part}`: {reason}");
        }
    }
    page
}

/// What was measured, when and where.
fn origin(record: &Record) -> String {
    format!("Commit `{}`, {}, on {}.", record.commit, record.date, record.machine)
}

/// Columns of the table of sizes: title, name and unit of the figure.
const COLUMNS: [(&str, &str, &str); 13] = [
    ("units", "units", "count"),
    ("import, units/s", "import_units_per_second", "n"),
    ("lookup p50", "engine_p50_us", "us"),
    ("lookup p99", "engine_p99_us", "us"),
    ("concordance p95", "concordance_p95_us", "us"),
    ("memory, bytes a unit", "memory_bytes_per_unit", "n"),
    ("disk, bytes a unit", "disk_bytes_per_unit", "n"),
    ("disk / texts", "disk_to_text", "n"),
    ("disk / texts when compacted", "compacted_disk_to_text", "n"),
    ("start from checkpoint", "start_from_checkpoint_seconds", "s"),
    ("start from store", "start_from_store_seconds", "s"),
    ("compaction", "compaction_seconds", "s"),
    ("backup", "backup_seconds", "s"),
];

/// The section on cost against size.
fn growth(scale: &Record) -> String {
    let sizes = sizes(scale);
    let command = scale.commands.values().next().map_or("", String::as_str);
    let mut section = format!(
        "\n## Cost against size\n\n{}\nEach size by `{command}` and the like: a store of its own, imported as TSV by one command; lookups in the \
         engine, one core, the five best of at least 70 points; memory of a server that has just started, less that of one without units.\n\n",
        origin(scale)
    );
    let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    section += &row(COLUMNS.iter().map(|(title, ..)| (*title).to_owned()).collect());
    section += &row(vec!["---".to_owned(); COLUMNS.len()]);
    for figures in &sizes {
        let cell = |(_, name, unit): &(&str, &str, &str)| {
            let value = figures.get(*name).and_then(|value| written(*value, unit));
            value.unwrap_or_else(|| "–".to_owned())
        };
        section += &row(COLUMNS.iter().map(cell).collect());
    }
    section.push('\n');
    for (file, plot) in plots(&sizes) {
        // Writing to a string cannot fail.
        let _ = writeln!(section, "![{}](measured/{file})", plot.title);
    }
    section += &projection::section(&sizes).unwrap_or_default();
    section
}

/// The figures of each size, the smallest first.
fn sizes(scale: &Record) -> Vec<&FiguresByName> {
    let mut sizes: Vec<&FiguresByName> = scale.figures.values().collect();
    let units = |figures: &FiguresByName| figures.get("units").copied().unwrap_or_default();
    sizes.sort_by(|a, b| units(a).total_cmp(&units(b)));
    sizes
}

/// The plots by the names of their files.
fn plots(sizes: &[&FiguresByName]) -> Vec<(&'static str, Plot<'static>)> {
    let line = |label, name: &str| {
        let point = |figures: &&FiguresByName| Some((*figures.get("units")?, *figures.get(name)?));
        (label, sizes.iter().filter_map(point).collect::<Vec<_>>())
    };
    let plot =
        |title, unit, is_log, lines| Plot { title, unit, is_log, across: Across::Units, lines };
    vec![
        (
            "import.svg",
            plot(
                "Import, units a second",
                "n",
                false,
                vec![line("TSV", "import_units_per_second")],
            ),
        ),
        (
            "lookup.svg",
            plot(
                "Time of a lookup in the engine",
                "us",
                true,
                vec![line("p50", "engine_p50_us"), line("p99", "engine_p99_us")],
            ),
        ),
        (
            "memory.svg",
            plot("Memory, bytes a unit", "n", false, vec![line("server", "memory_bytes_per_unit")]),
        ),
        (
            "disk.svg",
            plot(
                "Disk, bytes a unit",
                "n",
                false,
                vec![
                    line("after an import", "disk_bytes_per_unit"),
                    line("compacted", "compacted_disk_bytes_per_unit"),
                    line("texts", "text_bytes_per_unit"),
                ],
            ),
        ),
        (
            "start.svg",
            plot(
                "Start of a server",
                "s",
                true,
                vec![
                    line("from the checkpoint", "start_from_checkpoint_seconds"),
                    line("from the store", "start_from_store_seconds"),
                ],
            ),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(parts: &[(&str, &[(&str, f64)])]) -> Record {
        let mut record = Record::begin();
        for (part, figures) in parts {
            let figures = figures.iter().map(|(name, value)| ((*name).to_owned(), *value));
            record.put(part, figures.collect(), 1.0);
            record.commands.insert((*part).to_owned(), format!("dhakira bench {part}"));
        }
        record
    }

    #[test]
    fn the_page_has_what_was_measured_and_names_what_was_not() {
        let text = [("ar_segments_per_second", 216_040.0), ("en_segments_per_second", 319_000.0)];
        let mut all = record(&[("text", &text), ("tools", &[("grpc_p50_us", 1.0)])]);
        all.skipped.insert("align".to_owned(), "--docs was not given".to_owned());
        let page = page(&all, None, None);
        let row = "| forms, tokens and classes of a segment, one core | `dhakira bench text` | 216,000 segments/s Arabic, 319,000 English |\n";
        assert!(page.contains(row), "{page}");
        assert!(page.contains(&format!("Commit `{}`, {}", all.commit, all.date)), "{page}");
        assert!(page.contains("- `align`: --docs was not given\n"), "{page}");
        // A part without all the figures of a row has no row, and a section without rows no title.
        assert!(!page.contains("other protocols"), "{page}");
        assert!(!page.contains('{'), "{page}");
    }

    #[test]
    fn sizes_are_in_order_and_plotted() {
        let scale = record(&[
            ("100000", &[("units", 1e5), ("engine_p50_us", 60.0)]),
            ("20000", &[("units", 2e4), ("engine_p50_us", 30.0), ("disk_to_text", 2.0)]),
        ]);
        let section = growth(&scale);
        let small = section.find("| 20,000 | – | 30 µs | –").expect("a row for the small size");
        let large = section.find("| 100,000 | – | 60 µs | –").expect("a row for the large size");
        assert!(small < large, "{section}");
        assert!(section.contains("![Time of a lookup in the engine](measured/lookup.svg)"));
        let all = plots(&sizes(&scale));
        let lookup = all.iter().find(|(file, _)| *file == "lookup.svg").unwrap();
        assert_eq!(lookup.1.lines[0].1, [(2e4, 30.0), (1e5, 60.0)]);
        assert!(lookup.1.lines[1].1.is_empty());
    }
}
