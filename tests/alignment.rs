//! Risk: sentences are aligned with the wrong ones, twice, or not at all.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use dhakira::alignment::{
    Bead, Cancelled, Side, align_document, builtin, is_in_other_script, link_words,
};
use dhakira::text::Analyzer;
use dhakira::unit::Lang;
use proptest::prelude::*;

use crate::support::shared;

fn langs() -> (Lang, Lang) {
    ("ar".parse().unwrap(), "en".parse().unwrap())
}

fn align(source: &[&str], target: &[&str]) -> Vec<Bead> {
    let (ar, en) = langs();
    let source = Side::new(source.iter().copied(), &Analyzer::new(&ar));
    let target = Side::new(target.iter().copied(), &Analyzer::new(&en));
    align_document(&source, &target, &[builtin(&ar, &en)], &|| false, &mut |_| ()).unwrap()
}

type Numbers = (Vec<usize>, Vec<usize>);

fn numbers(bead: &Bead) -> Numbers {
    (bead.source.clone().collect(), bead.target.clone().collect())
}

/// Beads as the gold files write them.
fn gold(path: &Path) -> Vec<Numbers> {
    let text = fs::read_to_string(path).unwrap();
    let side = |text: &str| -> Vec<usize> {
        let numbers = text.split(|letter: char| !letter.is_ascii_digit());
        numbers.filter(|it| !it.is_empty()).map(|it| it.parse().unwrap()).collect()
    };
    let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let mut sides = line.split(':');
            (side(sides.next().unwrap()), side(sides.next().unwrap()))
        })
        .collect()
}

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

fn aligned_files(base: &Path) -> (Vec<Bead>, Vec<Numbers>) {
    let (source, target) = (lines(&base.with_extension("ar")), lines(&base.with_extension("en")));
    let source: Vec<&str> = source.iter().map(String::as_str).collect();
    let target: Vec<&str> = target.iter().map(String::as_str).collect();
    (align(&source, &target), gold(&base.with_extension("gold")))
}

/// Every sentence in exactly one bead, in order.
#[track_caller]
fn check_cover(beads: &[Bead], sizes: (usize, usize)) {
    let mut at = (0, 0);
    for bead in beads {
        assert_eq!((bead.source.start, bead.target.start), at);
        assert!(!bead.source.is_empty() || !bead.target.is_empty());
        assert!((0.0..=1.0).contains(&bead.confidence), "{bead:?}");
        at = (bead.source.end, bead.target.end);
    }
    assert_eq!(at, sizes);
}

#[test]
fn a_small_document_is_aligned_as_by_hand() {
    let base = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/alignment/harbour"));
    let (beads, gold) = aligned_files(base);
    assert_eq!(beads.iter().map(numbers).collect::<Vec<_>>(), gold);
}

#[test]
fn moved_paragraphs_do_not_wreck_the_rest() {
    let base = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/alignment/harbour"));
    let source = lines(&base.with_extension("ar"));
    let mut target = lines(&base.with_extension("en"));
    // The last sentence of the translation comes second.
    let last = target.pop().unwrap();
    target.insert(1, last);
    let source: Vec<&str> = source.iter().map(String::as_str).collect();
    let target: Vec<&str> = target.iter().map(String::as_str).collect();
    let beads = align(&source, &target);
    check_cover(&beads, (source.len(), target.len()));
    let found: HashSet<Numbers> = beads.iter().map(numbers).collect();
    for right in [(vec![0], vec![0]), (vec![1], vec![2, 3]), (vec![2], vec![4]), (vec![4], vec![5])]
    {
        assert!(found.contains(&right), "{right:?} in {found:?}");
    }
}

#[test]
fn what_has_no_other_side_stands_alone() {
    for (source, target) in [(3, 0), (0, 2), (0, 0), (1, 0)] {
        let beads = align(&vec!["جملة واحدة."; source], &vec!["One sentence."; target]);
        check_cover(&beads, (source, target));
        assert_eq!(beads.len(), source + target);
    }
}

#[test]
fn work_that_is_given_up_ends() {
    let (ar, en) = langs();
    let source = Side::new(vec!["قال الوزير إن العمل بدأ."; 400], &Analyzer::new(&ar));
    let target = Side::new(vec!["The minister said work had begun."; 400], &Analyzer::new(&en));
    let asked = AtomicUsize::new(0);
    let stop = || asked.fetch_add(1, Ordering::Relaxed) > 50;
    let lexicon = builtin(&ar, &en);
    assert_eq!(
        align_document(&source, &target, &[lexicon], &stop, &mut |_| ()).unwrap_err(),
        Cancelled
    );
}

#[test]
fn swapped_sides_are_noticed() {
    let (ar, en) = langs();
    assert_eq!(is_in_other_script(["The files were mixed up."], &ar, &en), Some(true));
    assert_eq!(is_in_other_script(["اختلطت الملفات، Word وغيره."], &ar, &en), Some(false));
    assert_eq!(is_in_other_script(["123 ... !"], &ar, &en), None);
    assert_eq!(is_in_other_script(["Une phrase."], &en, &"fr".parse().unwrap()), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn every_sentence_is_in_one_bead(
        source in prop::collection::vec("[\\PC]{0,30}|[ابتثجحد ]{1,40}|[0-9]{1,3}", 0..25),
        target in prop::collection::vec("[\\PC]{0,30}|[a-zA-Z ]{1,40}|[0-9]{1,3}", 0..25),
    ) {
        let source: Vec<&str> = source.iter().map(String::as_str).collect();
        let target: Vec<&str> = target.iter().map(String::as_str).collect();
        let beads = align(&source, &target);
        check_cover(&beads, (source.len(), target.len()));
        prop_assert_eq!(align(&source, &target), beads, "the same input, the same answer");
    }
}

/// Strict F1 as in `../shared/tools/score_alignment.py`: all beads for precision, those with both sides for recall.
#[derive(Default)]
struct StrictF1 {
    right: usize,
    found: usize,
    right_of_both: usize,
    gold_of_both: usize,
}

impl StrictF1 {
    fn add(&mut self, beads: &[Bead], gold: &[Numbers]) {
        let both = |bead: &&Numbers| !bead.0.is_empty() && !bead.1.is_empty();
        let wanted: HashSet<&Numbers> = gold.iter().collect();
        let found: Vec<Numbers> = beads.iter().map(numbers).collect();
        let right: Vec<&Numbers> = found.iter().filter(|bead| wanted.contains(bead)).collect();
        self.found += found.len();
        self.right += right.len();
        self.right_of_both += right.into_iter().filter(both).count();
        self.gold_of_both += gold.iter().filter(both).count();
    }

    fn f1(&self) -> f64 {
        let precision = self.right as f64 / self.found as f64;
        let recall = self.right_of_both as f64 / self.gold_of_both as f64;
        2.0 * precision * recall / (precision + recall)
    }
}

#[test]
fn real_documents_are_aligned() {
    let Some(directory) = shared("data/alignment") else { return };
    let names = fs::read_to_string(directory.join("dev.txt")).unwrap();
    for (family, least) in [
        ("ntrex_nat", 0.985),
        ("ntrex_mix", 0.965),
        ("ntrex_del", 0.97),
        ("bible", 0.84),
        ("biblebook_del", 0.835),
    ] {
        let mut score = StrictF1::default();
        for name in names.lines().filter(|name| name.rsplit_once('-').unwrap().0 == family) {
            let (beads, gold) = aligned_files(&directory.join("docs").join(name));
            score.add(&beads, &gold);
        }
        eprintln!("{family}: strict F1 {:.4}", score.f1());
        assert!(score.f1() >= least, "{family}: {}", score.f1());
    }
}

/// A text with so many words in ten replaced by other words of the document, as a free translator might leave it.
fn freely_worded(text: &str, pool: &[&str], replaced: usize, seed: &mut usize) -> String {
    let word = |word| {
        *seed =
            seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let drawn = *seed >> 33;
        if drawn % 10 < replaced { pool[drawn / 10 % pool.len()] } else { word }
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// How well news with so many words in ten replaced is aligned, and how many beads have one side.
fn align_freely_worded(directory: &Path, replaced: usize) -> (StrictF1, usize) {
    let names = fs::read_to_string(directory.join("dev.txt")).unwrap();
    let (mut score, mut one_sided, mut seed) = (StrictF1::default(), 0, 7);
    for name in names.lines().filter(|name| name.starts_with("ntrex_nat-")) {
        let base = directory.join("docs").join(name);
        let (source, target) =
            (lines(&base.with_extension("ar")), lines(&base.with_extension("en")));
        let pool: Vec<&str> = target.iter().flat_map(|it| it.split(' ')).collect();
        let free: Vec<String> =
            target.iter().map(|it| freely_worded(it, &pool, replaced, &mut seed)).collect();
        let source: Vec<&str> = source.iter().map(String::as_str).collect();
        let beads = align(&source, &free.iter().map(String::as_str).collect::<Vec<_>>());
        one_sided += beads.iter().filter(|it| it.source.is_empty() || it.target.is_empty()).count();
        score.add(&beads, &gold(&base.with_extension("gold")));
    }
    eprintln!("{replaced} words in ten replaced: strict F1 {:.4}", score.f1());
    (score, one_sided)
}

#[test]
fn free_translations_do_not_fall_apart() {
    let Some(directory) = shared("data/alignment") else { return };
    let (score, one_sided) = align_freely_worded(&directory, 6);
    assert!(score.f1() > 0.93 && one_sided <= 10, "{} {one_sided}", score.f1());
}

/// From literal wording to none that is known, words count less and less, and lengths carry on.
#[test]
fn quality_falls_smoothly_with_the_freedom_of_the_wording() {
    let Some(directory) = shared("data/alignment") else { return };
    let of_share: Vec<f64> =
        (0..=5).map(|it| align_freely_worded(&directory, 2 * it).0.f1()).collect();
    for (less, more) in of_share.iter().zip(&of_share[1..]) {
        assert!(*more > less - 0.05 && *more < less + 0.01, "{of_share:?}");
    }
    assert!(of_share[5] > 0.85, "{of_share:?}");
}

/// A word of so many letters that no lexicon knows and that is not used twice.
fn unknown_word(letters: usize, number: &mut usize, alphabet: &[char; 4]) -> String {
    *number += 1;
    let digit = |place: u32| alphabet[(*number >> (2 * place)) & 3];
    // The last letter is no ending that would be cut off.
    let places = u32::try_from(letters).unwrap() - 1;
    (0..places)
        .map(|it| if it < 10 { digit(it) } else { alphabet[0] })
        .chain([alphabet[1]])
        .collect()
}

/// Sentences of the same lengths, each of words of about so many letters.
fn unknown_sentences(
    lengths: &[usize],
    word: usize,
    number: &mut usize,
    alphabet: &[char; 4],
) -> Vec<String> {
    let sentence = |&length: &usize| {
        let words = (length / word).max(1);
        let letters = |at: usize| length * (at + 1) / words - length * at / words;
        let words: Vec<String> =
            (0..words).map(|at| unknown_word(letters(at), number, alphabet)).collect();
        words.join(" ")
    };
    lengths.iter().map(sentence).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Where no word is known, lengths decide alone, whatever the words and however many.
    #[test]
    fn unknown_words_leave_it_to_the_lengths(
        source in prop::collection::vec(12_usize..120, 1..14),
        target in prop::collection::vec(12_usize..120, 1..20),
        words in (12_usize..20, 12_usize..20),
    ) {
        let mut number = 0;
        let mut beads = |of_source: usize, of_target: usize| {
            // qaf, khah, dad, ghain
            let arabic = ['\u{642}', '\u{62e}', '\u{636}', '\u{63a}'];
            let source = unknown_sentences(&source, of_source, &mut number, &arabic);
            let target = unknown_sentences(&target, of_target, &mut number, &['q', 'k', 'x', 'v']);
            let source: Vec<&str> = source.iter().map(String::as_str).collect();
            let target: Vec<&str> = target.iter().map(String::as_str).collect();
            align(&source, &target)
        };
        // One word a sentence: nothing but its length.
        prop_assert_eq!(beads(words.0, words.1), beads(1_000, 1_000));
    }
}

#[test]
fn a_repeated_line_does_not_shift_what_follows() {
    let base = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/alignment/harbour"));
    let (source, target) = (lines(&base.with_extension("ar")), lines(&base.with_extension("en")));
    for repeated in 0..target.len() {
        let mut more: Vec<&str> = target.iter().map(String::as_str).collect();
        more.insert(repeated, &target[repeated]);
        let beads = align(&source.iter().map(String::as_str).collect::<Vec<_>>(), &more);
        let found: HashSet<Numbers> = beads.iter().map(numbers).collect();
        for (here, there) in gold(&base.with_extension("gold")) {
            // A sentence that is not translated may take the line that is too many.
            if here.is_empty() || there.is_empty() || there.contains(&repeated) {
                continue;
            }
            let moved = |it: usize| if it > repeated { it + 1 } else { it };
            let moved: Numbers = (here, there.into_iter().map(moved).collect());
            assert!(found.contains(&moved), "{moved:?} with {repeated} twice in {found:?}");
        }
    }
}

/// Links of one line over words between spaces, by what every installation knows.
fn links(source: &str, target: &str) -> HashSet<(usize, usize)> {
    let (ar, en) = langs();
    let (source_words, target_words) =
        (Analyzer::new(&ar).analyze(source), Analyzer::new(&en).analyze(target));
    let word = |text: &str, at: usize| text[..at].split(' ').count() - 1;
    let links = link_words(&source_words, &target_words, &[builtin(&ar, &en)], &|| false).unwrap();
    let places = links.iter().map(|link| {
        let here = source_words.span(&source_words.tokens()[link.source]).start;
        let there = target_words.span(&target_words.tokens()[link.target]).start;
        (word(source, here), word(target, there))
    });
    places.collect()
}

#[test]
fn word_links_are_those_made_by_hand() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/alignment/links.gold");
    let (mut found, mut wanted, mut right) = (0, 0, 0);
    for line in lines(&path) {
        let parts: Vec<&str> = line.split(" ||| ").collect();
        let gold: HashSet<(usize, usize)> = parts[2]
            .split(' ')
            .map(|link| link.split_once('-').unwrap())
            .map(|(a, b)| (a.parse().unwrap(), b.parse().unwrap()))
            .collect();
        let links = links(parts[0], parts[1]);
        found += links.len();
        wanted += gold.len();
        right += links.intersection(&gold).count();
    }
    // Alignment error rate with sure links only.
    let error_rate = 1.0 - 2.0 * right as f64 / (found + wanted) as f64;
    println!("word links, built-in lexicon only: AER {error_rate:.4}");
    assert!(error_rate < 0.32, "{error_rate}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn words_of_anything_are_linked_without_harm(source in "\\PC{0,80}", target in "[a-z0-9 .?]{0,80}") {
        let (ar, en) = langs();
        let (source, target) = (Analyzer::new(&ar).analyze(&source), Analyzer::new(&en).analyze(&target));
        for link in link_words(&source, &target, &[builtin(&ar, &en)], &|| false).unwrap() {
            prop_assert!(link.source < source.tokens().len() && link.target < target.tokens().len());
            prop_assert!((0.0..=1.001).contains(&link.confidence));
        }
    }
}
