//! Real segments, respelt by program: each kind of spelling difference costs next to nothing and is named.

use std::io::Read as _;

use dhakira::matching::{
    ContentHash, Facts, Form, IndexChange, IndexEntry, MemoryIndex, Options, Query, Reason,
};
use dhakira::text::{Analysis, Analyzer};
use dhakira::unit::{Context, Score, Timestamp, UnitId};

use crate::support::shared;

const SAMPLE: &str = include_str!("../../src/cli/demo/sample.tsv");
/// Segments of each source that are respelt.
const SEGMENTS_MAX: usize = 2_500;

/// A way to spell the same text otherwise.
struct Variant {
    name: &'static str,
    respell: fn(&str) -> String,
    /// The only reason that may take points; `None` where the texts are the same in canonical form.
    reason: Option<Reason>,
}

const fn variant(
    name: &'static str,
    reason: Option<Reason>,
    respell: fn(&str) -> String,
) -> Variant {
    Variant { name, respell, reason }
}

const VARIANTS: [Variant; 22] = [
    variant("a fatha on every third letter", Some(Reason::Marks), |text| {
        after_letters(text, 3, "\u{64e}")
    }),
    variant("shadda and kasra on every letter", Some(Reason::Marks), |text| {
        after_letters(text, 1, "\u{651}\u{650}")
    }),
    variant("all marks taken off", Some(Reason::Marks), |text| {
        text.chars().filter(|it| !matches!(it, '\u{64b}'..='\u{652}' | '\u{670}')).collect()
    }),
    variant("a stroke after every joining letter", Some(Reason::Tatweel), lengthened),
    variant("alef without its hamza", Some(Reason::Letters), |text| {
        mapped(text, &[("\u{623}", "\u{627}"), ("\u{625}", "\u{627}"), ("\u{622}", "\u{627}")])
    }),
    variant("every hamza off its seat", Some(Reason::Letters), |text| {
        let seats = [("\u{623}", "\u{627}"), ("\u{625}", "\u{627}"), ("\u{622}", "\u{627}")];
        mapped(&mapped(text, &seats), &[("\u{624}", "\u{648}"), ("\u{626}", "\u{64a}")])
    }),
    variant("hamza on every alef", Some(Reason::Letters), |text| {
        mapped(text, &[("\u{627}", "\u{623}")])
    }),
    variant("last yeh without dots", Some(Reason::Letters), |text| {
        at_word_ends(text, '\u{64a}', '\u{649}')
    }),
    variant("alef maksura with dots", Some(Reason::Letters), |text| {
        mapped(text, &[("\u{649}", "\u{64a}")])
    }),
    variant("teh marbuta as heh", Some(Reason::Letters), |text| {
        mapped(text, &[("\u{629}", "\u{647}")])
    }),
    variant("last heh as teh marbuta", Some(Reason::Letters), |text| {
        at_word_ends(text, '\u{647}', '\u{629}')
    }),
    variant("Persian kaf and yeh", Some(Reason::Letters), |text| {
        mapped(text, &[("\u{643}", "\u{6a9}"), ("\u{64a}", "\u{6cc}")])
    }),
    variant("Arabic-Indic digits", Some(Reason::Digits), |text| digits(text, 0x660)),
    variant("extended Arabic-Indic digits", Some(Reason::Digits), |text| digits(text, 0x6f0)),
    variant("Arabic-Indic digits and separators", Some(Reason::Digits), digits_and_separators),
    variant("space before marks", Some(Reason::Spacing), space_before_marks),
    variant("no space after commas", Some(Reason::Spacing), |text| {
        mapped(text, &[("\u{60c} ", "\u{60c}"), ("\u{61b} ", "\u{61b}")])
    }),
    variant("space inside brackets", Some(Reason::Spacing), |text| {
        if text.contains("](") {
            text.into()
        } else {
            mapped(text, &[(" (", " ( "), (") ", " ) ")])
        }
    }),
    variant("bidirectional controls and zero widths", None, |text| {
        let wrapped: Vec<String> = text
            .split(' ')
            .map(|word| format!("\u{200f}{word}\u{200e} \u{feff}\u{200b}"))
            .collect();
        format!("\u{202b}{}\u{202c}\u{2067}\u{2069}\u{61c}", wrapped.concat())
    }),
    variant("no-break and double spaces", None, |text| {
        format!("\u{a0}{}\t", mapped(text, &[(" ", " \u{a0}")]))
    }),
    variant("presentation forms", None, presentation_forms),
    variant("decomposed", None, |text| {
        let parts = [("\u{623}", "\u{627}\u{654}"), ("\u{625}", "\u{627}\u{655}")];
        let more = [("\u{622}", "\u{627}\u{653}"), ("\u{624}", "\u{648}\u{654}")];
        mapped(&mapped(text, &parts), &more)
    }),
];

/// One pass through the text: the first rule that fits at a place is applied there.
fn mapped(text: &str, rules: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        match rules.iter().find(|(from, _)| rest.starts_with(from)) {
            Some((from, to)) => {
                out.push_str(to);
                rest = &rest[from.len()..];
            }
            None => {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    out
}

fn is_letter(it: char) -> bool {
    matches!(it, '\u{621}'..='\u{63a}' | '\u{641}'..='\u{64a}')
}

fn is_mark(it: char) -> bool {
    matches!(it, '\u{64b}'..='\u{652}' | '\u{670}')
}

/// A mark after every so manyth letter that has none.
fn after_letters(text: &str, every: usize, mark: &str) -> String {
    let mut out = String::new();
    let mut count = 0;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        out.push(letter);
        if is_letter(letter) && !letters.peek().is_some_and(|it| is_mark(*it)) {
            count += 1;
            if count % every == 0 {
                out.push_str(mark);
            }
        }
    }
    out
}

fn lengthened(text: &str) -> String {
    // Letters that join to the next one.
    let joins = |it: char| {
        is_letter(it) && !"\u{621}\u{622}\u{623}\u{624}\u{625}\u{627}\u{629}\u{62f}\u{630}\u{631}\u{632}\u{648}\u{649}".contains(it)
    };
    let mut out = String::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        out.push(letter);
        if joins(letter) && letters.peek().is_some_and(|it| is_letter(*it)) {
            out.push_str("\u{640}\u{640}");
        }
    }
    out
}

fn at_word_ends(text: &str, from: char, to: char) -> String {
    let mut out = String::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let ends =
            !letters.peek().is_some_and(|it| is_letter(*it) || is_mark(*it) || *it == '\u{640}');
        out.push(if letter == from && ends { to } else { letter });
    }
    out
}

fn digits(text: &str, zero: u32) -> String {
    let digit = |it: char| it.to_digit(10).and_then(|value| char::from_u32(zero + value));
    text.chars().map(|it| digit(it).unwrap_or(it)).collect()
}

fn digits_and_separators(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let digit =
        |at: Option<usize>| at.and_then(|at| letters.get(at)).is_some_and(char::is_ascii_digit);
    let separated = letters.iter().enumerate().map(|(at, it)| {
        let between = digit(at.checked_sub(1)) && digit(Some(at + 1));
        match it {
            ',' if between => '\u{66c}',
            '.' if between => '\u{66b}',
            '%' if digit(at.checked_sub(1)) => '\u{66a}',
            _ => *it,
        }
    });
    digits(&separated.collect::<String>(), 0x660)
}

fn space_before_marks(text: &str) -> String {
    let mut out = String::new();
    let mut letters = text.chars().peekable();
    let mut before = ' ';
    while let Some(letter) = letters.next() {
        let mark = matches!(letter, '\u{60c}' | '\u{61b}' | '\u{61f}' | '.' | '!' | ':' | ',');
        let last = letters.peek().is_none_or(|it| *it == ' ');
        if mark && last && (is_letter(before) || before.is_ascii_alphanumeric()) {
            out.push(' ');
        }
        out.push(letter);
        before = letter;
    }
    out
}

/// Every letter as its isolated form, lam and alef as one.
fn presentation_forms(text: &str) -> String {
    let ligatures = [
        ("\u{644}\u{627}", "\u{fefb}"),
        ("\u{644}\u{623}", "\u{fef7}"),
        ("\u{644}\u{625}", "\u{fef9}"),
        ("\u{644}\u{622}", "\u{fef5}"),
    ];
    // The first code point of each letter's forms, from U+0621 on.
    let forms: [u32; 26] = [
        0xfe80, 0xfe81, 0xfe83, 0xfe85, 0xfe87, 0xfe89, 0xfe8d, 0xfe8f, 0xfe93, 0xfe95, 0xfe99,
        0xfe9d, 0xfea1, 0xfea5, 0xfea9, 0xfeab, 0xfead, 0xfeaf, 0xfeb1, 0xfeb5, 0xfeb9, 0xfebd,
        0xfec1, 0xfec5, 0xfec9, 0xfecd,
    ];
    let later: [u32; 10] =
        [0xfed1, 0xfed5, 0xfed9, 0xfedd, 0xfee1, 0xfee5, 0xfee9, 0xfeed, 0xfeef, 0xfef1];
    let form = |it: char| {
        let code = it as usize;
        match code {
            0x621..=0x63a => forms.get(code - 0x621).copied(),
            0x641..=0x64a => later.get(code - 0x641).copied(),
            _ => None,
        }
    };
    let letters = mapped(text, &ligatures);
    letters.chars().map(|it| form(it).and_then(char::from_u32).unwrap_or(it)).collect()
}

/// What the index answers for one query over one stored segment.
pub(super) fn judged(stored: &Analysis, query: &Analysis) -> Option<(u16, Vec<Reason>)> {
    let hash = |analysis: &Analysis| xxhash_rust::xxh3::xxh3_64(analysis.canonical().as_bytes());
    let facts = Facts {
        source_hash: hash(stored),
        content_hash: ContentHash::default(),
        context: Context::default(),
        changed: Timestamp { micros: 0 },
        document: String::new(),
        author: String::new(),
        revision: 1,
        unfinished: false,
    };
    let index = MemoryIndex::new();
    let entry =
        IndexEntry { unit: UnitId(1), form: Form::new(stored, 0), target: Form::default(), facts };
    index.apply(&[IndexChange::Put(entry)]);
    let options =
        Options { min_score: Score::from_points(0.0).unwrap(), limit: 1, ..Options::default() };
    let hits = index.scan(&Query::new(query, 0, Context::default()), &options).unwrap();
    let hit = hits.first()?;
    Some((hit.score.hundredths(), hit.deductions.iter().map(|(reason, _)| reason).collect()))
}

fn segments() -> Vec<String> {
    let column = |table: &str, column: usize| -> Vec<String> {
        let cells = table.lines().skip(1).filter_map(|line| line.split('\t').nth(column));
        cells.map(str::to_owned).collect()
    };
    let mut found = column(SAMPLE, 4);
    let spread = |all: Vec<String>| {
        let step = all.len().div_ceil(SEGMENTS_MAX).max(1);
        all.into_iter().step_by(step)
    };
    if let Some(path) = shared("data/msdocs/memory.tsv.xz") {
        let mut table = String::new();
        let mut file = liblzma::read::XzDecoder::new(std::fs::File::open(path).unwrap());
        file.read_to_string(&mut table).unwrap();
        found.extend(spread(column(&table, 3)));
    }
    if let Some(directory) = shared("data/alignment/docs") {
        let mut paths: Vec<_> =
            std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let news = paths.iter().filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.starts_with("ntrex_nat") && name.ends_with(".ar")
        });
        let lines = news.flat_map(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        });
        found.extend(spread(lines.collect()));
    }
    found
}

#[test]
fn every_respelling_costs_little_and_is_named() {
    let analyzer = Analyzer::new(&"ar".parse().unwrap());
    let segments = segments();
    let mut faults = Vec::new();
    for variant in VARIANTS {
        let (mut respelt, mut right) = (0, 0);
        for segment in &segments {
            let other = (variant.respell)(segment);
            let stored = analyzer.analyze(segment);
            if other == *segment || stored.words().next().is_none() {
                continue;
            }
            respelt += 1;
            let query = analyzer.analyze(&other);
            let (score, reasons) = judged(&stored, &query).unwrap_or_default();
            let expected = match variant.reason {
                None => score == 10_000 && reasons.is_empty(),
                Some(reason) => (9_700..10_000).contains(&score) && reasons == [reason],
            };
            if expected {
                right += 1;
            } else {
                faults
                    .push(format!("{}: {score} {reasons:?}\n  {segment}\n  {other}", variant.name));
            }
        }
        println!("{:<42} {right:>6} of {respelt:>6}", variant.name);
    }
    assert!(
        faults.is_empty(),
        "{} faults\n{}",
        faults.len(),
        faults[..faults.len().min(20)].join("\n")
    );
}
