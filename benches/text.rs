//! How fast are segments analysed? Canonical and folded forms, tokens and classes of real segments, on one core.
//!
//! `cargo bench --bench text`. Reads the software manual of `../shared/data/msdocs`; where that is absent it says so and
//! measures the sample memory.

#![allow(clippy::expect_used)]

use std::hint::black_box;
use std::io::Read as _;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dhakira::text::{Analysis, Analyzer};

const MANUAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/msdocs/memory.tsv.xz");
const SAMPLE: &str = include_str!("../src/cli/demo/sample.tsv");
/// Segments taken, spread over the whole file.
const SEGMENTS_MAX: usize = 20_000;

/// The columns `source` and `target` of a table.
fn columns(table: &str, source: usize, target: usize) -> [Vec<String>; 2] {
    let lines: Vec<&str> = table.lines().skip(1).collect();
    let step = lines.len().div_ceil(SEGMENTS_MAX).max(1);
    let column = |column: usize| {
        let cells = lines.iter().step_by(step).filter_map(|line| line.split('\t').nth(column));
        cells.map(str::to_owned).collect()
    };
    [column(source), column(target)]
}

fn segments() -> [Vec<String>; 2] {
    match std::fs::File::open(MANUAL) {
        Ok(file) => {
            let mut table = String::new();
            liblzma::read::XzDecoder::new(file).read_to_string(&mut table).expect("a table in xz");
            columns(&table, 3, 4)
        }
        Err(error) => {
            eprintln!("{MANUAL}: {error}; measuring the sample memory instead");
            columns(SAMPLE, 0, 1)
        }
    }
}

fn analyze(criterion: &mut Criterion) {
    let [arabic, english] = segments();
    let mut group = criterion.benchmark_group("analyze");
    group.sample_size(20);
    for (lang, segments) in [("ar", arabic), ("en", english)] {
        let analyzer = Analyzer::new(&lang.parse().expect("a language"));
        let mut analysis = Analysis::default();
        group.throughput(Throughput::Elements(segments.len() as u64));
        group.bench_function(lang, |bencher| {
            bencher.iter(|| {
                for segment in &segments {
                    analyzer.analyze_into(segment, &mut analysis);
                    black_box(&analysis);
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, analyze);
criterion_main!(benches);
