//! Time for a text grows with its length, whatever it is made of.

use std::time::{Duration, Instant};

use dhakira::text::{Analyzer, SentenceOptions, SentenceRules, canonical};
use proptest::prelude::*;

/// What begins something that has an end further on, or is read ahead of.
const PIECES: [&str; 62] = [
    "{0", "{", "{{", "${", "${a", "$", "$ ", "$1", "%", "%(", "%(a", "%1$", "%-", "&", "&#", "&a",
    "<", "<a", "<a ", "<a=\"", "<a='", "</a", "<!--", "\"", "'", "`", "``", "`a", "``a`", "](",
    "](a", ")", "(", "(.a ", ". ", ". (", "...", "a.", "a-", "a@", "a@b.", "www.", "http://",
    "http://(", "mailto:", "1 ", "1,", "1-", "1/", "1:", "0", "1a", "-1", "+", "USD ", "21 ",
    "1 May ", "May ", "A. ", " ", "\u{64b}", "\u{660}",
];

/// What this thread has worked, where the system says it: other work on the machine does not count then.
fn worked() -> Duration {
    thread_local!(static SINCE: Instant = Instant::now());
    let said = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = said.and_then(|text| text.split_whitespace().next()?.parse().ok());
    nanos.map_or_else(|| SINCE.with(Instant::elapsed), Duration::from_nanos)
}

fn time_of(text: &str, analyzer: &Analyzer, rules: &SentenceRules) -> Duration {
    let begun = worked();
    let analysis = analyzer.analyze(text);
    let values = analysis.tokens().iter().filter(|token| analysis.value(token).is_some()).count();
    assert!(values <= analysis.tokens().len());
    assert_eq!(analysis.gaps().len(), analysis.words().count() + 1);
    assert!(canonical(text).len() <= 4 * text.len());
    let sentences = rules.split(text, SentenceOptions::default());
    assert_eq!(sentences.iter().map(|it| it.piece.len()).sum::<usize>(), text.len());
    worked().saturating_sub(begun)
}

/// A text four times as long takes some four times as long, and one with a quadratic step sixteen times.
fn check(piece: &str, bytes: usize) {
    let analyzer = Analyzer::new(&"ar".parse().unwrap());
    let rules = SentenceRules::new(&"en".parse().unwrap());
    // Some systems count in ticks of four milliseconds, so the short text is read as often as makes it as long.
    let least = |bytes: usize, times: u32| {
        let text = piece.repeat(bytes.div_ceil(piece.len()));
        let time = || (0..times).map(|_| time_of(&text, &analyzer, &rules)).sum::<Duration>();
        (0..3).map(|_| time()).min().unwrap_or_default() / times
    };
    let (short, long) = (least(bytes, 4), least(4 * bytes, 1));
    // Where the short one is too short to be measured, the bound of the long one says enough.
    let most = (9 * short).max(Duration::from_millis(20));
    assert!(long <= most, "{piece:?}: {short:?}, and {long:?} for four times as much");
}

#[test]
fn every_opener_alone_takes_time_in_proportion() {
    for piece in PIECES {
        check(piece, 64 * 1024);
    }
}

#[test]
fn white_space_before_the_first_sentence_is_passed_once() {
    let rules = SentenceRules::new(&"en".parse().unwrap());
    let analyzer = Analyzer::new(&"en".parse().unwrap());
    let text = |bytes: usize| " ".repeat(bytes) + &"A. ".repeat(bytes / 3);
    let least = |text: &str| (0..3).map(|_| time_of(text, &analyzer, &rules)).min().unwrap();
    let (short, long) = (least(&text(30_000)), least(&text(120_000)));
    assert!(long <= (9 * short).max(Duration::from_millis(20)), "{short:?}, {long:?}");
}

#[test]
fn a_sentence_that_never_ends_is_not_read_anew_at_each_full_stop() {
    // A number and a unit at each full stop, and nothing that begins a sentence behind it.
    check("\u{660}A. ", 16 * 1024);
    check("21 kg. ", 16 * 1024);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn openers_together_take_time_in_proportion(places in prop::collection::vec(0..PIECES.len(), 2..6)) {
        let piece: String = places.iter().map(|place| PIECES[*place]).collect();
        check(&piece, 16 * 1024);
    }
}
