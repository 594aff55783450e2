//! How many adapted targets are what a translator wrote? Counted over the queries of real documentation whose translations
//! are known, against whatever binary.
//!
//! `cargo test --test tests adapted_targets_of_real_documentation -- --ignored --nocapture`; `DHAKIRA_BIN` names another
//! binary to count for, such as an older one.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use dhakira::text::Analyzer;

use crate::support::shared;

fn table(path: &std::path::Path) -> Vec<(String, String)> {
    let mut text = String::new();
    let file = std::fs::File::open(path).unwrap();
    liblzma::read::XzDecoder::new(file).read_to_string(&mut text).unwrap();
    let rows = text.lines().skip(1).map(|line| line.split('\t').collect::<Vec<_>>());
    rows.filter(|row| row.len() == 5).map(|row| (row[3].to_owned(), row[4].to_owned())).collect()
}

/// A text with its numbers cut down to what they are worth in one reading: all digits, or those that count.
fn without_notation(text: &str, keep_precision: bool) -> String {
    let ascii = |it: char| match it {
        '\u{660}'..='\u{669}' | '\u{6f0}'..='\u{6f9}' => {
            char::from_digit(it as u32 & 0xf, 10).unwrap()
        }
        '\u{66a}' => '%',
        _ => it,
    };
    let text = text.replace([' ', '\u{a0}'], " ").replace(" %", "%").replace(" \u{66a}", "%");
    let text: Vec<char> = text.chars().map(ascii).collect();
    let is_separator =
        |it: char| ".,\u{66b}\u{66c}\u{60c}'\u{2019} \u{a0}\u{202f}\u{2009}".contains(it);
    let (mut out, mut at) = (String::new(), 0);
    while at < text.len() {
        if !text[at].is_ascii_digit() {
            // A sign or space beside a number is a matter of notation too.
            let beside = |place: Option<usize>| {
                place.and_then(|it| text.get(it)).is_some_and(char::is_ascii_digit)
            };
            let notation = matches!(text[at], ' ' | '\u{a0}' | '%' | '$' | '+')
                && (beside(at.checked_sub(1)) || beside(Some(at + 1)));
            if !notation {
                out.push(text[at]);
            }
            at += 1;
            continue;
        }
        let (mut digits, mut fraction) = (String::new(), false);
        while at < text.len()
            && (text[at].is_ascii_digit()
                || is_separator(text[at]) && text.get(at + 1).is_some_and(char::is_ascii_digit))
        {
            if text[at].is_ascii_digit() {
                digits.push(text[at]);
            } else {
                fraction = true;
            }
            at += 1;
        }
        let digits = digits.trim_start_matches('0');
        let zeros_count = keep_precision || !fraction;
        out.push_str(if zeros_count { digits } else { digits.trim_end_matches('0') });
    }
    out
}

fn differ_only_in_notation(one: &str, other: &str) -> bool {
    one != other
        && [true, false].iter().any(|&it| without_notation(one, it) == without_notation(other, it))
}

#[test]
fn notation_is_told_from_other_differences() {
    for (one, other, only) in [
        ("costs $1,250.50 now", "costs $1250.50 now", true),
        ("takes 12.0 s", "takes 12.00 s", true),
        ("room 0042", "room 42", true),
        ("50 % of all", "50% of all", true),
        ("room 42", "room 43", false),
        ("room 42", "rooms 42", false),
        ("room 42", "room 42", false),
    ] {
        assert_eq!(differ_only_in_notation(one, other), only, "{one} / {other}");
    }
}

#[derive(Debug, Default)]
struct Counts {
    queries: usize,
    matches: usize,
    adapted: usize,
    equal: usize,
    notation: Vec<String>,
    best_adapted: usize,
    best_equal: usize,
    with_words: usize,
    with_words_equal: usize,
    by_score: BTreeMap<u32, (usize, usize)>,
}

#[test]
#[ignore = "takes minutes: imports 127,000 units and looks 28,000 segments up"]
fn adapted_targets_of_real_documentation() {
    let (Some(memory), Some(queries)) =
        (shared("data/msdocs/memory.tsv.xz"), shared("data/msdocs/queries.tsv.xz"))
    else {
        return;
    };
    let own = env!("CARGO_BIN_EXE_dhakira").to_owned();
    let binary = std::env::var("DHAKIRA_BIN").unwrap_or_else(|_| own.clone());
    let directory = tempfile::tempdir().unwrap();
    let command = |arguments: &[&str]| {
        let mut command = Command::new(&binary);
        command.env("DHAKIRA_DATA", directory.path()).env_remove("DHAKIRA_SERVER").args(arguments);
        command
    };
    let path = memory.to_string_lossy();
    let imported = command(&["import", "--memory", "m", &path]).output().unwrap();
    assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));

    let queries = table(&queries);
    let mut lookup = command(&["lookup", "--memory", "m", "--max", "5", "--json"]);
    let mut lookup = lookup.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = lookup.stdin.take().unwrap();
    let lines: String = queries.iter().map(|(query, _)| format!("{query}\n")).collect();
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()).unwrap());
    let output = lookup.wait_with_output().unwrap();
    writer.join().unwrap();
    let answers = String::from_utf8(output.stdout).unwrap();

    let mut counts = Counts { queries: queries.len(), ..Counts::default() };
    assert_eq!(answers.lines().count(), queries.len());
    let analyzer = Analyzer::new(&"ar".parse().unwrap());
    for (line, (query, reference)) in answers.lines().zip(&queries) {
        let has_words = analyzer.analyze(query).has_words();
        let answer: serde_json::Value = serde_json::from_str(line).unwrap();
        for (rank, found) in answer["matches"].as_array().unwrap().iter().enumerate() {
            counts.matches += 1;
            let Some(adapted) = found["adapted_target"].as_str() else { continue };
            let equal = adapted == reference;
            counts.adapted += 1;
            counts.equal += usize::from(equal);
            counts.with_words += usize::from(has_words);
            counts.with_words_equal += usize::from(has_words && equal);
            if rank == 0 {
                counts.best_adapted += 1;
                counts.best_equal += usize::from(equal);
            }
            let band = counts.by_score.entry(found["score"].as_f64().unwrap() as u32 / 5 * 5);
            let band = band.or_default();
            *band = (band.0 + 1, band.1 + usize::from(equal));
            if differ_only_in_notation(adapted, reference) {
                counts.notation.push(format!(
                    "query     {query}\nsource    {}\ntarget    {}\nadapted   {adapted}\nreference {reference}\n",
                    found["source"], found["target"]
                ));
            }
        }
    }
    for found in &counts.notation {
        println!("{found}");
    }
    println!("queries {}, matches {}", counts.queries, counts.matches);
    println!("adapted targets {}, equal to the reference {}", counts.adapted, counts.equal);
    println!("  of best matches {}, equal {}", counts.best_adapted, counts.best_equal);
    println!("  of queries with words {}, equal {}", counts.with_words, counts.with_words_equal);
    println!("  by score {:?}", counts.by_score);
    println!("  different only in how a number is written {}", counts.notation.len());
    assert!(binary != own || counts.notation.is_empty());
}
