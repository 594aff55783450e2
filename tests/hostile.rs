//! Do the readers hold against anything? The properties of `probes`, on bytes at random and on good files with places changed; the
//! fuzz targets in `fuzz` do the same for longer, and so does `PROPTEST_CASES=100000`.

use dhakira::formats::Format;
use proptest::prelude::*;

use crate::probes;

/// Good files, one of each kind.
const FILES: [(Option<Format>, &[u8]); 6] = [
    (Some(Format::Tmx), include_bytes!("../fuzz/seeds/tmx/units.tmx")),
    (Some(Format::Tsv), include_bytes!("../fuzz/seeds/delimited/small.tsv")),
    (Some(Format::Csv), include_bytes!("../fuzz/seeds/delimited/quoted.csv")),
    (Some(Format::Xliff), include_bytes!("../fuzz/seeds/xliff/old.xlf")),
    (Some(Format::Xliff), include_bytes!("../fuzz/seeds/xliff/new.xlf")),
    (Some(Format::Po), include_bytes!("../fuzz/seeds/po/small.po")),
];

/// A file with some places changed, and perhaps cut.
fn changed(file: &'static [u8]) -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), any::<u8>());
    (prop::collection::vec(change, 0..6), any::<prop::sample::Index>(), 0..4_u8).prop_map(
        move |(changes, cut, whether)| {
            let mut bytes = file.to_vec();
            for (place, byte) in changes {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            if whether == 0 {
                bytes.truncate(cut.index(bytes.len()));
            }
            bytes
        },
    )
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..300)
}

proptest! {
    #[test]
    fn exchange_files(which in 0..6_usize, file in (0..6_usize).prop_flat_map(|it| changed(FILES[it].1))) {
        probes::exchange_file(FILES[which].0, &file);
        probes::exchange_file(None, &file);
    }

    #[test]
    fn workbooks(file in changed(include_bytes!("../fuzz/seeds/workbook/small.bin")), bytes in any_bytes()) {
        probes::workbook(&file);
        probes::workbook(&bytes);
    }

    #[test]
    fn records(version in 0..4_u8, bytes in any_bytes()) {
        probes::record(&bytes);
        probes::record(&[&[version], &bytes[..]].concat());
    }

    #[test]
    fn page_tokens(text in "[0-9a-fA-F]{0,60}", bytes in any_bytes()) {
        probes::page_token(text.as_bytes());
        probes::page_token(&bytes);
    }

    #[test]
    fn messages(bytes in any_bytes()) {
        probes::message(&bytes);
    }

    #[test]
    fn checkpoints(bytes in any_bytes(), lengths in prop::collection::vec(0..5_u64, 0..40)) {
        probes::checkpoint(&bytes);
        let numbers: Vec<u8> = lengths.iter().flat_map(|it| it.to_le_bytes()).collect();
        probes::checkpoint(&numbers);
    }

    #[test]
    fn backup_parts(bytes in any_bytes()) {
        probes::backup_part(&bytes);
    }

    #[test]
    fn text_forms(text in "\\PC{0,80}", arabic in "[\\u{600}-\\u{6ff}\\u{fe70}-\\u{feff} .\\n0-9a-z]{0,80}", bytes in any_bytes()) {
        probes::text_forms(text.as_bytes());
        probes::text_forms(arabic.as_bytes());
        probes::text_forms(&bytes);
    }
}
