//! Measures reading and writing of every format that can be written, in memory, on one core.
//!
//! `cargo bench --bench formats`.

#![allow(clippy::expect_used)]

mod corpus;

use std::hint::black_box;
use std::io::Cursor;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dhakira::formats::{self, FileHeader, Format, ReadOptions};
use dhakira::unit::{Timestamp, Unit, UnitContent, UnitId};

/// Units as in a memory, with times to the microsecond.
fn units() -> Vec<Unit> {
    let time = Some(Timestamp { micros: 1_700_000_000_123_456 });
    let stored = |(id, content)| {
        let content = UnitContent { created: time, changed: time, ..content };
        Unit::new(UnitId(id), 1, content)
    };
    (1..).zip(corpus::contents()).map(stored).collect()
}

fn write(format: Format, units: &[Unit]) -> Vec<u8> {
    let ReadOptions { source_lang, target_lang, .. } = corpus::options();
    let header = FileHeader { source_lang, target_lang, tool_version: "1".to_owned() };
    let mut writer = formats::create(format, &header, Vec::new()).expect("a written format");
    for unit in units {
        writer.write(unit).expect("memory takes it");
    }
    writer.finish().expect("memory takes it")
}

fn exchange(criterion: &mut Criterion) {
    let units = units();
    for (name, is_read) in [("write", false), ("read", true)] {
        let mut group = criterion.benchmark_group(name);
        group.sample_size(20);
        group.throughput(Throughput::Elements(units.len() as u64));
        for format in Format::written() {
            let bytes = write(format, &units);
            group.bench_function(format.name(), |bencher| {
                bencher.iter(|| {
                    if is_read {
                        black_box(corpus::read(Box::new(Cursor::new(bytes.as_slice())))).len()
                    } else {
                        black_box(write(format, &units)).len()
                    }
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, exchange);
criterion_main!(benches);
