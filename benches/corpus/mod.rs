//! Provides real units for all benches: a software manual from `../shared/data/msdocs` or, if that is absent, the sample memory.

use std::fs::File;
use std::io::Read;

use dhakira::formats::{self, Event, ReadOptions};
use dhakira::unit::UnitContent;

const MANUAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/msdocs/memory.tsv.xz");
const SAMPLE: &str = include_str!("../../src/cli/demo/sample.tsv");
/// Number of units, spread over the whole file.
const UNITS_MAX: usize = 20_000;

pub(crate) fn options() -> ReadOptions {
    let lang = |lang: &str| lang.parse().expect("a language");
    ReadOptions::new(lang("ar"), lang("en"), "bench")
}

/// The units of a file.
pub(crate) fn read<'r>(input: Box<dyn Read + Send + 'r>) -> Vec<UnitContent> {
    let events = formats::open(input, &options()).expect("a file");
    let content = |event| match event {
        Event::Unit(parsed) => Some(parsed.content),
        _ => None,
    };
    events.filter_map(|event| content(event.expect("a piece of the file"))).collect()
}

pub(crate) fn contents() -> Vec<UnitContent> {
    let contents = match File::open(MANUAL) {
        Ok(file) => read(Box::new(file)),
        Err(error) => {
            eprintln!("{MANUAL}: {error}; measuring the sample memory instead");
            read(Box::new(SAMPLE.as_bytes()))
        }
    };
    let step = contents.len().div_ceil(UNITS_MAX).max(1);
    contents.into_iter().step_by(step).collect()
}
