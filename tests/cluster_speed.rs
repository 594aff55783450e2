//! Measures appends to a cluster's log alone: no index, no planning. `cargo test --release appends_alone -- --ignored --nocapture`, with
//! `DHAKIRA_TEST_FSYNC=on` for servers that sync.

use std::time::Instant;

use dhakira::store::{Commit, CommitLog as _, MemoryCounters, Store as _, UnitWrite};
use dhakira::unit::UnitId;

use crate::store_conformance::{M, memory, unit};
use crate::support::log::LogExt as _;
use crate::support::postgres::Postgres;

/// Units of one commit, as of an import.
const COMMIT: u64 = 200;
/// Units of one measurement.
const UNITS: u64 = 64_000;

/// A sentence of some length. Arabic letters by number.
fn text(number: u64) -> String {
    let letter = |it: u64| char::from_u32(0x628 + u32::try_from(it % 20).unwrap()).unwrap();
    let word = |place: u64| -> String {
        (0..5).map(|it| letter(number.wrapping_mul(31).wrapping_add(place * 7 + it * it))).collect()
    };
    (0..12).map(word).collect::<Vec<_>>().join(" ")
}

#[test]
#[ignore = "measures"]
fn appends_alone() {
    let Some(postgres) = Postgres::start(1) else { return };
    let realm = postgres.realm();
    realm.commit(&[Commit { memories: vec![memory(1)], ..Commit::default() }]);
    let mut next = 1;
    for group in [1_000, 3_200, 6_400] {
        let mut end = realm.end().unwrap();
        let since = Instant::now();
        for _ in 0..UNITS / group {
            let commits: Vec<Commit> = (0..group / COMMIT)
                .map(|_| {
                    let units = (next..next + COMMIT)
                        .map(|id| UnitWrite::Create(M, unit(id, 1, &text(id)).into()));
                    let units = units.collect();
                    next += COMMIT;
                    let (unit_count, next_unit) = (next - 1, UnitId(next));
                    let counters = vec![MemoryCounters { key: M, unit_count, next_unit }];
                    Commit { units, counters, ..Commit::default() }
                })
                .collect();
            let records = realm.append(end, &commits).into_result().unwrap();
            end = records.last().unwrap().into();
        }
        let seconds = since.elapsed().as_secs_f64();
        let units = UNITS / group * group;
        #[allow(clippy::cast_precision_loss)]
        let rate = units as f64 / seconds;
        eprintln!("groups of {group}: {rate:.0} units/s");
    }
    let (since, mut after, mut read) = (Instant::now(), None, 0);
    loop {
        let page = realm.page(M, after, 2_000).unwrap();
        let Some(last) = page.last() else { break };
        (after, read) = (Some(last.id), read + page.len());
    }
    #[allow(clippy::cast_precision_loss)]
    let rate = read as f64 / since.elapsed().as_secs_f64();
    eprintln!("pages of 2,000: {rate:.0} units/s");
}
