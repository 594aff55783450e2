//! Measures the analysis of real segments: canonical and folded forms, tokens and classes, on one core.
//!
//! `cargo bench --bench text`.

#![allow(clippy::expect_used)]

mod corpus;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dhakira::text::{Analysis, Analyzer};

fn analyze(criterion: &mut Criterion) {
    let contents = corpus::contents();
    let arabic: Vec<&str> = contents.iter().map(|it| it.source.text.as_str()).collect();
    let english: Vec<&str> = contents.iter().map(|it| it.target.text.as_str()).collect();
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
