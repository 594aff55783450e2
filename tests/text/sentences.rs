//! Sentences: a table of what ends one and what does not, properties of any text, the real article and documents.

use std::collections::BTreeSet;

use dhakira::text::{SentenceOptions, SentenceRules};
use proptest::prelude::*;

use crate::support::shared;

const TABLE: &str = include_str!("../data/text/sentences.tsv");
const TABLES: [&str; 3] = [
    include_str!("../../src/text/data/sentences/common.tsv"),
    include_str!("../../src/text/data/sentences/ar.tsv"),
    include_str!("../../src/text/data/sentences/en.tsv"),
];

fn rules(lang: &str) -> SentenceRules {
    SentenceRules::new(&lang.parse().unwrap())
}

fn split<'a>(rules: &SentenceRules, text: &'a str, options: SentenceOptions) -> Vec<&'a str> {
    let sentences = rules.split(text, options).into_iter().map(|sentence| &text[sentence.text]);
    sentences.filter(|it| !it.is_empty()).collect()
}

#[test]
fn the_tables_of_the_project_are_tables() {
    for table in TABLES {
        SentenceRules::default().add(table).unwrap();
    }
}

/// Each row: language, and a text with ` | ` where a sentence ends and `\n` for line ends.
#[test]
fn sentences_end_where_the_table_says() {
    for row in TABLE.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = row.split('\t').collect();
        let text = columns[1].replace("\\n", "\n");
        let expected: Vec<&str> = text.split(" | ").flat_map(|it| it.split('|')).collect();
        let text: String = text.replace(" | ", " ").replace('|', "");
        let options = SentenceOptions {
            semicolons: columns.get(2).is_some_and(|it| it.contains("semicolons")),
            wrapped_lines: columns.get(2).is_some_and(|it| it.contains("wrapped")),
        };
        let found = split(&rules(columns[0]), &text, options);
        let trimmed: Vec<&str> = expected.iter().map(|it| it.trim()).collect();
        assert_eq!(found, trimmed, "{row}");
    }
}

/// Characters without a shape, wherever they are put, change no boundary.
#[test]
fn invisible_characters_hide_no_sentence_end() {
    const INVISIBLE: [char; 9] = [
        '\u{200f}', '\u{200e}', '\u{200b}', '\u{feff}', '\u{61c}', '\u{2060}', '\u{ad}',
        '\u{202c}', '\u{2069}',
    ];
    for row in TABLE.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = row.split('\t').collect();
        if columns.len() > 2 {
            continue;
        }
        let text = columns[1].replace("\\n", "\n").replace(" | ", " ").replace('|', "");
        let seen = |text: &str| -> Vec<String> {
            let visible =
                |it: &str| it.chars().filter(|it| !INVISIBLE.contains(it)).collect::<String>();
            let sentences = split(&rules(columns[0]), text, SentenceOptions::default());
            sentences.into_iter().map(|it| visible(it).trim().to_owned()).collect()
        };
        let expected = seen(&text);
        for (number, (place, _)) in text.char_indices().enumerate() {
            let mut with = text.clone();
            with.insert(place, INVISIBLE[number % INVISIBLE.len()]);
            assert_eq!(seen(&with), expected, "{with:?}");
        }
    }
}

#[test]
fn marks_of_direction_stay_with_their_sentence() {
    let rules = rules("ar");
    let text = "\u{202b}\u{62a}\u{645}\u{62a}.\u{202c} \u{202b}\u{639}\u{627}\u{62f}.\u{200f} \u{2067}\u{646}\u{627}\u{645}.\u{2069}";
    let found = split(&rules, text, SentenceOptions::default());
    assert_eq!(
        found,
        [
            "\u{202b}\u{62a}\u{645}\u{62a}.\u{202c}",
            "\u{202b}\u{639}\u{627}\u{62f}.\u{200f}",
            "\u{2067}\u{646}\u{627}\u{645}.\u{2069}"
        ]
    );
}

#[test]
fn users_add_rules_and_are_told_which_is_none() {
    let mut rules = rules("en");
    let text = "Lic. Mora came. The meeting of min. Two was short.";
    let options = SentenceOptions::default();
    assert_eq!(split(&rules, text, options).len(), 3);
    rules.add("# mine\ntitle\tLic.\tlicenciado\n").unwrap();
    assert_eq!(split(&rules, text, options).len(), 2);
    let error = rules.add("title\tX\n\nnonsense\tY").unwrap_err();
    assert_eq!(error.line, 3);
    assert!(error.message.contains("nonsense"), "{error}");
    assert!(rules.add("end\t..").is_err());
    assert!(rules.add("title").is_err());
}

/// What must hold of any text and any options.
fn check(lang: &str, text: &str, options: SentenceOptions) {
    let sentences = rules(lang).split(text, options);
    let joined: String = sentences.iter().map(|it| &text[it.piece.clone()]).collect();
    assert_eq!(joined, text, "the pieces are the whole");
    for sentence in &sentences {
        assert!(
            sentence.piece.start <= sentence.text.start && sentence.text.end <= sentence.piece.end
        );
        assert_eq!(text[sentence.piece.clone()].trim(), &text[sentence.text.clone()]);
    }
    let empty = sentences.iter().filter(|it| it.text.is_empty()).count();
    assert!(empty == 0 || text.trim().is_empty() && empty == 1, "no empty sentences");
}

proptest! {
    #[test]
    fn the_pieces_of_any_text_are_the_text(text in ".{0,80}", semicolons: bool, wrapped_lines: bool) {
        for lang in ["ar", "en", "fr"] {
            check(lang, &text, SentenceOptions { semicolons, wrapped_lines });
        }
    }

    #[test]
    fn the_pieces_of_marks_and_spaces_are_the_text(
        text in "[\u{621}-\u{64a}\u{200b}-\u{200f}\u{202a}-\u{202e}\u{2066}-\u{2069}A-Ca-c1 \u{a0}\n\r\t.!?\u{61f}\u{61b}\u{60c}\u{2026}()\"'\u{ab}\u{bb}\\[\\]<>/`{}%@:\u{2028}-]{0,60}",
        semicolons: bool,
        wrapped_lines: bool,
    ) {
        for lang in ["ar", "en"] {
            check(lang, &text, SentenceOptions { semicolons, wrapped_lines });
        }
    }
}

#[test]
fn hostile_texts_are_split_in_linear_time() {
    for piece in [
        ". ",
        "(. ",
        "((((",
        "a.",
        ".",
        "\u{64e}",
        "`. ",
        "<a. ",
        "\n",
        " ",
        "A. ",
        "http://a. ",
        "\". ",
        "[1",
    ] {
        let text = piece.repeat(1_000_000 / piece.len());
        let since = std::time::Instant::now();
        check("ar", &text, SentenceOptions::default());
        println!("{piece:?}: {:?}", since.elapsed());
        assert!(since.elapsed().as_secs() < 20, "{piece:?} took {:?}", since.elapsed());
    }
}

#[test]
fn the_article_is_split_as_its_translators_did() {
    for lang in ["ar", "en"] {
        let (Some(text), Some(gold)) = (
            shared(&format!("cases/article/article.{lang}.txt")),
            shared(&format!("cases/article/article.{lang}")),
        ) else {
            return;
        };
        let text = std::fs::read_to_string(text).unwrap();
        let gold = std::fs::read_to_string(gold).unwrap();
        let found = split(&rules(lang), &text, SentenceOptions::default());
        assert_eq!(found, gold.lines().collect::<Vec<_>>(), "{lang}");
    }
}

fn ends_with_a_mark(line: &str) -> bool {
    let bare = line.trim_end_matches(|it: char| "\"'\u{201d}\u{2019}\u{bb}\u{ab})]*".contains(it));
    bare.ends_with(['.', '!', '?', '\u{61f}', '\u{2026}'])
}

/// Boundaries found, and where they should be, of documents of one sentence a line: joined to paragraphs, which end after a
/// line without a mark of its end (a headline, a verse that goes on), and split again.
fn boundaries(lang: &str, documents: &[std::path::PathBuf]) -> (usize, usize, usize, Vec<String>) {
    let rules = rules(lang);
    let (mut right, mut wrong, mut missed, mut faults) = (0, 0, 0, Vec::new());
    for path in documents {
        let text = std::fs::read_to_string(path).unwrap();
        let lines: Vec<&str> =
            text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        for paragraph in lines.split_inclusive(|line| !ends_with_a_mark(line)) {
            let joined = paragraph.join(" ");
            let mut gold = BTreeSet::new();
            let mut end = 0;
            for line in &paragraph[..paragraph.len() - 1] {
                end += line.len();
                gold.insert(end);
                end += 1;
            }
            let sentences = rules.split(&joined, SentenceOptions::default());
            let found: BTreeSet<usize> =
                sentences.iter().rev().skip(1).map(|it| it.text.end).collect();
            right += found.intersection(&gold).count();
            wrong += found.difference(&gold).count();
            missed += gold.difference(&found).count();
            let around = |at: &usize, what: &str| {
                let before: String = joined[..*at].chars().rev().take(30).collect();
                let before: String = before.chars().rev().collect();
                format!(
                    "{what}: {before} || {}",
                    joined[*at..].chars().take(30).collect::<String>()
                )
            };
            faults.extend(found.difference(&gold).map(|at| around(at, "wrong")));
            faults.extend(gold.difference(&found).map(|at| around(at, "missed")));
        }
    }
    (right, wrong, missed, faults)
}

/// Documents whose lines are sentences as their translators took them. The `mix` and `del` families are made from these by
/// merging and cutting lines at random, so their lines are no gold of sentences.
#[test]
fn sentences_of_real_documents_are_found_again() {
    let Some(directory) = shared("data/alignment/docs") else { return };
    let mut paths: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for (family, lang) in
        [("ntrex_nat", "ar"), ("ntrex_nat", "en"), ("bible-", "ar"), ("bible-", "en")]
    {
        let documents: Vec<_> = paths
            .iter()
            .filter(|path| {
                let name = path.file_name().unwrap().to_string_lossy();
                name.starts_with(family) && path.extension().is_some_and(|it| it == lang)
            })
            .cloned()
            .collect();
        let (right, wrong, missed, faults) = boundaries(lang, &documents);
        let share = |of: usize| right as f64 / (right + of) as f64;
        println!("{family} {lang}: precision {:.4}, recall {:.4}", share(wrong), share(missed));
        faults.iter().for_each(|fault| println!("  {fault}"));
        assert!(share(wrong) >= 0.98 && share(missed) >= 0.98);
    }
}
