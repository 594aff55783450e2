//! How fast are units read from files and written into them? Each format that is written, in memory, on one core.
//!
//! `cargo bench --bench formats`. Units are those of the software manual of `../shared/data/msdocs`; where that is absent it
//! says so and takes the sample memory, over and over.

#![allow(clippy::expect_used)]

use std::fs::File;
use std::hint::black_box;
use std::io::{Cursor, Read};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dhakira::formats::{self, Event, FileHeader, Format, ReadOptions};
use dhakira::unit::{Timestamp, Unit, UnitId};

const MANUAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/msdocs/memory.tsv.xz");
const SAMPLE: &str = include_str!("../src/cli/demo/sample.tsv");
const UNITS: usize = 20_000;

fn options() -> ReadOptions {
    let lang = |lang: &str| lang.parse().expect("a language");
    ReadOptions::new(lang("ar"), lang("en"), "bench")
}

fn read<'r>(input: Box<dyn Read + Send + 'r>) -> Vec<Unit> {
    let events = formats::open(input, &options()).expect("a file");
    let mut units = Vec::new();
    for event in events {
        if let Event::Unit(parsed) = event.expect("a piece of the file") {
            let id = UnitId(units.len() as u64 + 1);
            let mut content = parsed.content;
            // As in a memory: with times to the microsecond.
            let time = Timestamp { micros: 1_700_000_000_123_456 };
            (content.created, content.changed) = (Some(time), Some(time));
            units.push(Unit { id, revision: 1, content });
            if units.len() == UNITS {
                break;
            }
        }
    }
    units
}

fn units() -> Vec<Unit> {
    match File::open(MANUAL) {
        Ok(file) => read(Box::new(file)),
        Err(error) => {
            eprintln!("{MANUAL}: {error}; measuring the sample memory instead");
            let sample = read(Box::new(SAMPLE.as_bytes()));
            sample.iter().cycle().take(UNITS).cloned().collect()
        }
    }
}

fn write(format: Format, units: &[Unit]) -> Vec<u8> {
    let ReadOptions { source_lang, target_lang, .. } = options();
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
        for format in Format::WRITTEN {
            let bytes = write(format, &units);
            group.bench_function(format.name(), |bencher| {
                bencher.iter(|| {
                    if is_read {
                        black_box(read(Box::new(Cursor::new(bytes.as_slice())))).len()
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
