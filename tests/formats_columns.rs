//! Columns: quotation marks that are not closed, columns by number, and what is written is read back.

use std::io::Cursor;

use dhakira::formats::{self, Event, Format};
use dhakira::unit::DiagnosticCode;
use proptest::prelude::*;

use crate::formats_exchange::{options, read};

/// Arabic for "door", "house", "book".
const WORDS: [&str; 3] =
    ["\u{628}\u{627}\u{628}", "\u{628}\u{64a}\u{62a}", "\u{643}\u{62a}\u{627}\u{628}"];

/// Pairs of texts, and the lines and causes of what was rejected, with messages.
fn pairs(text: &str) -> (Vec<(String, String)>, Vec<(u64, DiagnosticCode, String)>) {
    let mut it = options("ar", "en");
    it.format = Some(Format::Csv);
    let reader = formats::open(Box::new(Cursor::new(text.as_bytes().to_vec())), &it).unwrap();
    let (mut units, mut faults) = (Vec::new(), Vec::new());
    for event in reader {
        match event.unwrap() {
            Event::Unit(unit) => {
                units.push((unit.content.source.text, unit.content.target.text));
            }
            Event::Notice(_) => {}
            other => {
                let it = other.diagnostic().unwrap();
                faults.push((it.place.line, it.cause, it.message.clone()));
            }
        }
    }
    (units, faults)
}

#[test]
fn a_mark_that_is_not_closed_costs_its_row() {
    let [door, house, book] = WORDS;
    // The file; the targets that are read; the line of the fault.
    let cases: [(String, &[&str], Option<u64>); 13] = [
        // Open to the end, in the last column, in the first, and on the last line.
        (
            format!("{door},\"A door\n{house},A house\n{book},A book\n"),
            &["A house", "A book"],
            Some(2),
        ),
        (format!("\"{door},A door\n{house},A house\n"), &["A house"], Some(2)),
        (format!("{door},A door\n{house},\"A house"), &["A door"], Some(3)),
        // It meets the mark that opens another field.
        (
            format!("{door},\"A door\n{house},A house\n{book},\"A book\"\n"),
            &["A house", "A book"],
            Some(2),
        ),
        (format!("{door},\"A door\n\"{house}\",A house\n"), &["A house"], Some(2)),
        // It meets a mark at the end of a row, which would close it.
        (format!("{door},\"A door\n{house},24\"\n{book},A book\n"), &["24\"", "A book"], Some(2)),
        (format!("\"{door},A door\n{house},A house\n{book},24\"\n"), &["A house", "24\""], Some(2)),
        // An inch sign between is not the end of it.
        (
            format!("{door},\"A door\n{house},24\" wide\n{book},\"A book\"\n"),
            &["24\" wide", "A book"],
            Some(2),
        ),
        // Fields of several lines, one after the other.
        (
            format!("\"{door}\n{door}\",\"A\ndoor\"\n\"{house}\",\"A\n\nhouse, too\"\n"),
            &["A\ndoor", "A\n\nhouse, too"],
            None,
        ),
        (format!("\"{door}\n{house}\",A door\n"), &["A door"], None),
        (format!("\"{door}\r\n\"\"{house}\"\"\",\"A \"\"door\"\"\"\r\n"), &["A \"door\""], None),
        // Marks inside of quoted fields that nobody doubled, and marks that quote nothing.
        (format!("\"{door} \"{house}\" {book}\",\"a \"b\" c\"\n"), &["a \"b\" c"], None),
        (
            format!("{door} 24\",\"\"A\"\" door\n{house},\"\"\"A\"\"\"\n"),
            &["\"\"A\"\" door", "\"A\""],
            None,
        ),
    ];
    for (text, targets, fault) in cases {
        let (units, faults) = pairs(&format!("ar,en\n{text}"));
        let read: Vec<&str> = units.iter().map(|(_, target)| target.as_str()).collect();
        assert_eq!(read, targets, "{text}");
        let lines: Vec<u64> = faults.iter().map(|(line, ..)| *line).collect();
        assert_eq!(lines, fault.into_iter().collect::<Vec<_>>(), "{text}: {faults:?}");
        for (_, cause, message) in faults {
            assert_eq!(cause, DiagnosticCode::Malformed);
            assert!(message.contains("opens column") && message.contains("left out"), "{message}");
        }
    }
}

#[test]
fn a_row_that_is_too_long_costs_itself() {
    let long = "x".repeat(dhakira::limits::DELIMITED_ROW_BYTES_MAX + 10);
    let text = format!("ar,en\n{},a\n{},{long}\n{},b\n", WORDS[0], WORDS[1], WORDS[2]);
    let (units, faults) = pairs(&text);
    assert_eq!(units.len(), 2);
    assert_eq!(
        faults.iter().map(|it| (it.0, it.1)).collect::<Vec<_>>(),
        [(3, DiagnosticCode::Limit)]
    );
    // The same within quotation marks that are never closed.
    let lines = format!("{},a\n", WORDS[0]).repeat(200_000);
    let (units, faults) = pairs(&format!("ar,en\n{},\"open\n{lines}", WORDS[1]));
    assert_eq!((units.len(), faults.len()), (200_000, 1));
    assert!(faults[0].2.contains("not closed within"), "{}", faults[0].2);
}

#[test]
fn rows_that_are_all_open_take_no_longer_than_others() {
    // Each looks for its end; looking through the whole file for each would take hours.
    for line in
        ["x,\"y\n", "x,\"\"\"y\n", "x,\"\"y\n", "x,\"\n", "\"\n", "x,\"y\"z\n", "\"a\",\"b\"c\n"]
    {
        let (units, faults) = pairs(&format!("ar,en\n{}", line.repeat(100_000)));
        assert!(units.len() + faults.len() >= 33_000, "{line}: {} {}", units.len(), faults.len());
    }
}

#[test]
fn columns_by_number_need_no_header() {
    let [door, house, _] = WORDS;
    let columns = |text: &str, source: &str, target: &str| {
        let mut it = options("ar", "en");
        it.source_column = Some(source.to_owned());
        it.target_column = Some(target.to_owned());
        let read = read(text, &it);
        let texts =
            read.units.into_iter().map(|it| (it.source.text, it.target.text, it.attributes));
        texts.collect::<Vec<_>>()
    };
    let rows = format!("{door}\tA door\n{house}\tA house\n");
    let both = |found: &[(String, String, _)]| -> Vec<String> {
        found.iter().map(|(source, target, _)| format!("{source}={target}")).collect()
    };
    let expected = [format!("{door}=A door"), format!("{house}=A house")];
    assert_eq!(both(&columns(&rows, "1", "2")), expected);
    // A header is seen: by languages, by what the columns are, by its script.
    for header in
        ["ar\ten", "AR-sa\ten_GB", "source\ttarget", "Arabic\tEnglish", "Text\tTranslation"]
    {
        assert_eq!(both(&columns(&format!("{header}\n{rows}"), "1", "2")), expected, "{header}");
    }
    // One side by name: there is a header.
    assert_eq!(both(&columns(&format!("text\ten\n{rows}"), "1", "en")), expected);
    // Other columns are kept under their numbers; a name that is a number is a name first.
    let found = columns(&format!("7,{door},A door\n"), "2", "3");
    assert_eq!(found[0].2.get("column 1").map(String::as_str), Some("7"));
    assert_eq!(both(&columns(&format!("2\tx\t1\nA door\t-\t{door}\n"), "1", "2")), expected[..1]);
    // Terms that are words for columns are terms.
    let found = columns("\u{647}\u{62f}\u{641}\tTarget\n", "1", "2");
    assert_eq!(found.len(), 1);
    let mut it = options("ar", "en");
    for (source, target, flag) in [("1", "3", "target-column"), ("0", "2", "source-column")] {
        (it.source_column, it.target_column) = (Some(source.into()), Some(target.into()));
        let error = formats::open(Box::new(Cursor::new(rows.clone())), &it).err().unwrap();
        assert!(error.to_string().contains(flag), "{error}");
    }
}

/// A text with everything that delimiters and marks are made of.
fn field(letters: &'static [&'static str]) -> impl Strategy<Value = String> {
    let special = &["\"", "\"\"", ",", ";", "\t", "\n", "\r\n", " ", "24\"", "\",\"", "\n\""];
    let piece = prop_oneof![
        2 => prop::sample::select(letters),
        1 => prop::sample::select(&special[..]),
    ];
    (prop::sample::select(letters), prop::collection::vec(piece, 0..8))
        .prop_map(|(first, rest)| format!("{first}{}", rest.concat()))
}

fn rows() -> impl Strategy<Value = Vec<(String, String)>> {
    prop::collection::vec((field(&WORDS), field(&["a", "door", "House"])), 1..12)
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

proptest! {
    /// Whatever a program writes by RFC 4180 is read to the same texts.
    #[test]
    fn quoted_rows_are_read_back(rows in rows(), end in prop::sample::select(&["\n", "\r\n"][..])) {
        for (delimiter, format) in [(",", Format::Csv), (";", Format::Csv), ("\t", Format::Tsv)] {
            let mut text = ["ar", "en"].map(quoted).join(delimiter) + end;
            for (source, target) in &rows {
                text += &([source, target].map(|it| quoted(it)).join(delimiter) + end);
            }
            let mut it = options("ar", "en");
            it.format = Some(format);
            let found = read(&text, &it);
            prop_assert_eq!(found.rejected, []);
            let found: Vec<_> =
                found.units.into_iter().map(|it| (it.source.text, it.target.text)).collect();
            prop_assert_eq!(&found, &rows);
        }
    }

    /// One mark that is never closed costs its row, wherever it is and whatever comes after it.
    #[test]
    fn an_open_mark_costs_one_row(
        rows in prop::collection::vec((0..3_usize, 0..5_usize), 1..20),
        at: prop::sample::Index,
        side in 0..2_usize,
    ) {
        let targets = ["A door", "24\" wide", "\"A door\"", "\"a, b\"", "\"say \"\"a\"\"\""];
        let open = at.index(rows.len());
        let mut text = "ar,en\n".to_owned();
        for (number, &(source, target)) in rows.iter().enumerate() {
            let source = WORDS[source];
            text += &match (number == open, side) {
                (true, 0) => format!("\"{source},A house\n"),
                (true, _) => format!("{source},\"A house\n"),
                _ => format!("{source},{}\n", targets[target]),
            };
        }
        let (units, faults) = pairs(&text);
        prop_assert_eq!(faults.len(), 1, "{}: {:?}", text, faults);
        prop_assert_eq!(faults[0].0, open as u64 + 2);
        let plain = ["A door", "24\" wide", "A door", "a, b", "say \"a\""];
        let others = rows.iter().enumerate().filter(|(number, _)| *number != open);
        let expected: Vec<(String, String)> = others
            .map(|(_, &(source, target))| (WORDS[source].to_owned(), plain[target].to_owned()))
            .collect();
        prop_assert_eq!(units, expected);
    }
}
