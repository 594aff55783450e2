//! The commands of alignment as a user types them: `align`, `train`, `check` and `links`.

use crate::command_line::{code, json, run, run_with, stderr, stdout};

#[test]
fn documents_are_aligned_in_every_form() {
    let directory = tempfile::tempdir().unwrap();
    let file =
        |name: &str| format!("{}/tests/data/alignment/harbour.{name}", env!("CARGO_MANIFEST_DIR"));
    let (ar, en) = (file("ar"), file("en"));
    let align = |more: &[&str]| {
        let arguments = [&["align"], more].concat();
        run(directory.path(), &arguments)
    };
    let output = align(&["--presplit", &ar, &en]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let beads: Vec<String> =
        stdout(&output).lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect();
    assert_eq!(beads, std::fs::read_to_string(file("gold")).unwrap().lines().collect::<Vec<_>>());
    assert!(stderr(&output).contains("7 beads; 2 sentences unaligned"), "{}", stderr(&output));

    // Split here: the second line of the Arabic text is two sentences.
    let output = align(&["--format", "tsv", &ar, &en]);
    assert_eq!(stdout(&output).lines().next(), Some("ar\ten\tconfidence"));
    assert_eq!(stdout(&output).lines().count(), 1 + 8);

    // What is written as TMX is imported: the beads with both sides.
    let output = align(&["--presplit", "--format", "tmx", "--output", "harbour.tmx", &ar, &en]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let output = run(directory.path(), &["import", "--memory", "m", "harbour.tmx", "--json"]);
    assert_eq!(json(&output)["stored"], 5, "{}", stderr(&output));

    let page = stdout(&align(&["--presplit", "--format", "html", &ar, &en]));
    assert!(
        page.contains("<td dir=\"rtl\" lang=\"ar\">") && page.contains("city's port"),
        "{page}"
    );
    assert_eq!(page.matches("<tr>").count(), 7);

    let output = align(&["--presplit", &en, &ar]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("--swap"), "{}", stderr(&output));
    let output = align(&["--presplit", "--swap", &en, &ar]);
    assert_eq!(stdout(&output).lines().count(), 7);

    std::fs::write(directory.path().join("empty.txt"), " \n").unwrap();
    let output = align(&[&ar, "empty.txt"]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("empty.txt: the target holds no text"), "{}", stderr(&output));
    std::fs::write(directory.path().join("binary"), [0, 159, 146, 150, 255, 254, 0]).unwrap();
    let output = align(&[&ar, "binary"]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("binary"), "{}", stderr(&output));
}

#[test]
fn a_file_that_exists_is_overwritten_only_when_that_is_wanted() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("a.txt"), "ذهب الولد إلى المدرسة.\n").unwrap();
    std::fs::write(path("e.txt"), "The boy went to school.\n").unwrap();
    let align =
        |more: &[&str]| run(directory.path(), &[&["align", "a.txt", "e.txt"], more].concat());
    // Easily typed instead of another name.
    let output = align(&["--output", "e.txt"]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("e.txt exists; --force overwrites it"), "{}", stderr(&output));
    assert_eq!(std::fs::read_to_string(path("e.txt")).unwrap(), "The boy went to school.\n");
    let output = align(&["--output", "missing/beads"]);
    assert!(stderr(&output).contains("there is no directory missing"), "{}", stderr(&output));

    std::fs::write(path("beads"), "of yesterday").unwrap();
    assert_eq!(code(&align(&["--output", "beads"])), 1);
    let output = align(&["--output", "beads", "--force"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let written = std::fs::read_to_string(path("beads")).unwrap();
    assert!(written.starts_with("[0]:[0]\t"), "{written}");
    assert!(!path("beads.partial").exists());
    assert_eq!(stdout(&align(&["--output", "-"])), written);
}

#[test]
fn a_memory_teaches_alignment_and_is_checked() {
    let directory = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| run(directory.path(), arguments);
    let file =
        |name: &str| format!("{}/tests/data/alignment/harbour.{name}", env!("CARGO_MANIFEST_DIR"));
    let (ar, en) = (file("ar"), file("en"));

    // Beads are stored in a memory that is made for them.
    let least = "--store-min-confidence=0.2";
    let store = ["align", "--presplit", "--store-in", "port", least, &ar, &en];
    let output = run(&store);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stderr(&output).contains("stored 5 units"), "{}", stderr(&output));
    assert_eq!(stdout(&output).lines().count(), 7);
    let output = run(&store);
    assert!(stderr(&output).contains("stored 0 units") && stderr(&output).contains("5 duplicates"));

    let output = run(&["train", "--memory", "port", "--json"]);
    assert_eq!(json(&output)["units"], 5, "{}", stderr(&output));
    let output = run(&["align", "--memory", "port", "--presplit", &ar, &en]);
    assert_eq!(stdout(&output).lines().count(), 7, "{}", stderr(&output));

    // One unit is no translation, one lost its number.
    let rows = "ar\ten\nرفض الوزير التعليق على تقرير الحكومة\tThe match began at three in the afternoon in the rain\n\
        بلغ عدد السكان 1450 في المدينة\tThe population of the city was 1540\n\
        وصل الرئيس إلى العاصمة\tThe president arrived in the capital\n";
    std::fs::write(directory.path().join("rows.tsv"), rows).unwrap();
    let output = run(&["import", "--memory", "port", "rows.tsv"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let output = run(&["check", "--memory", "port", "--json"]);
    let listed: Vec<serde_json::Value> =
        stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(listed.len(), 2, "{listed:?}");
    assert_eq!(listed[0]["reasons"][0], "misaligned");
    let reasons = listed[1]["reasons"].as_array().unwrap();
    assert!(reasons.contains(&"numbers".into()), "{listed:?}");
    assert!(listed[0]["suspicion"].as_f64() > listed[1]["suspicion"].as_f64());

    // The same on the way in.
    let import = |memory: &str, check: &str| {
        run(&["import", "--memory", memory, check, "rows.tsv", "--json"])
    };
    let output = import("strict", "--check=reject");
    assert_eq!((code(&output), json(&output)["stored"].as_u64()), (3, Some(2)));
    assert_eq!(json(&output)["causes"]["SUSPECT"], 1);
    let output = import("tagged", "--check");
    assert_eq!(json(&output)["stored"], 3, "{}", stderr(&output));
    let page = stdout(&run(&["export", "--memory", "tagged"]));
    assert_eq!(page.matches("misaligned").count(), 1, "{page}");
}

#[test]
fn words_are_linked_line_by_line() {
    let directory = tempfile::tempdir().unwrap();
    let lines =
        "وصل الرئيس إلى العاصمة ||| The president arrived in the capital\n ||| nothing here\n";
    let output = run_with(directory.path(), &["links"], lines);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let links = stdout(&output);
    let mut links = links.lines();
    let first: Vec<&str> = links.next().unwrap().split(' ').collect();
    for link in ["0-2", "1-1", "3-5"] {
        assert!(first.contains(&link), "{first:?}");
    }
    assert_eq!((links.next(), links.next()), (Some(""), None));

    let output = run_with(directory.path(), &["links"], "no bars\n");
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("line 1"), "{}", stderr(&output));
}
