//! The calls of the attacks.

use std::time::Duration;

use prost::Message;

use super::{LOOKUP, SEGMENT_BYTES};
use crate::support::{analysis_settings, lookup_request, proto, segment};

const MILLION: usize = 1024 * 1024;
const CONCORDANCE: &str = "/dhakira.v1.LookupService/SearchConcordance";
const ANALYSIS: &str = "/dhakira.v1.LookupService/AnalyzeSegments";
const EXTRACTION: &str = "/dhakira.v1.LookupService/ExtractUnits";
const SPLIT: &str = "/dhakira.v1.AlignmentService/SplitSentences";
const ALIGN_WORDS: &str = "/dhakira.v1.AlignmentService/AlignWords";
const ALIGN_DOCUMENTS: &str = "/dhakira.v1.AlignmentService/AlignDocuments";

/// Calls that end before they are answered: at a deadline, or because the client goes away; to the server it is the same.
pub(super) struct Attack {
    pub(super) name: &'static str,
    pub(super) method: &'static str,
    pub(super) messages: Vec<Vec<u8>>,
    pub(super) calls: usize,
    /// Time of all cores after which the calls end.
    pub(super) until_used: Duration,
}

/// Words of six letters that are all different, the last `other` of them in another way.
pub(super) fn words(bytes: usize, other: usize) -> String {
    let count = bytes / 7;
    let word = |number: usize| {
        let kind = if number + other < count { "q" } else { "z" };
        let mut rest = number * 7_919 % 11_881_376;
        let mut word = kind.to_owned();
        for _ in 0..5 {
            word.push(char::from(b'a' + u8::try_from(rest % 26).unwrap()));
            rest /= 26;
        }
        word
    };
    (0..count).map(word).collect::<Vec<_>>().join(" ")
}

/// Sentences of twenty names each, no name twice.
fn names(bytes: usize, first: &str) -> proto::DocumentSide {
    let sentence = |text: &[&str]| format!("the {}.", text.join(&format!(" {first}")));
    let words = words(bytes, 0);
    let words: Vec<&str> = words.split(' ').collect();
    proto::DocumentSide {
        sentences: words.chunks(20).map(sentence).collect(),
        ..Default::default()
    }
}

fn align(source: proto::DocumentSide, target: proto::DocumentSide) -> Vec<u8> {
    let request = proto::AlignDocumentsRequest {
        source_language_code: "ar".into(),
        target_language_code: "en".into(),
        source: Some(source),
        target: Some(target),
        ..Default::default()
    };
    request.encode_to_vec()
}
/// `calls` times one message, given up once the server has worked for some milliseconds.
fn attack(
    name: &'static str,
    method: &'static str,
    message: Vec<u8>,
    calls: usize,
    millis: u64,
) -> Attack {
    let until_used = Duration::from_millis(millis);
    Attack { name, method, messages: vec![message], calls, until_used }
}

pub(super) fn attacks() -> Vec<Attack> {
    let mut attacks = lookups();
    attacks.push(concordances());
    attacks.push(analyses());
    attacks.push(extractions());
    attacks.extend(splits());
    attacks.push(word_links());
    attacks.extend(alignments());
    attacks
}

fn lookups() -> Vec<Attack> {
    let lookup = lookup_request(&["m"], &words(SEGMENT_BYTES, 300));
    let exhaustive = proto::LookupSegmentsRequest {
        settings: Some(proto::LookupSettings {
            exhaustive: true,
            min_score_percent: Some(30.0),
            ..lookup.settings.clone().unwrap()
        }),
        ..lookup.clone()
    };
    let braces = lookup_request(&["m"], &"{0".repeat(125_000));
    vec![
        attack("16 lookups of 244 KB", LOOKUP, lookup.encode_to_vec(), 16, 2_800),
        attack("16 exhaustive lookups of 244 KB", LOOKUP, exhaustive.encode_to_vec(), 16, 2_800),
        attack("16 lookups of 250 KB of {0{0", LOOKUP, braces.encode_to_vec(), 16, 2_800),
    ]
}

fn concordances() -> Attack {
    let request = proto::SearchConcordanceRequest {
        memories: vec!["memories/m".into()],
        text: vec!["q"; 100].join(" "),
        mode: proto::ConcordanceMode::Prefix.into(),
        word_form: proto::WordForm::Stem.into(),
        ..Default::default()
    };
    let message = request.encode_to_vec();
    attack("16 prefix concordances of 100 words", CONCORDANCE, message, 16, 200)
}

fn analyses() -> Attack {
    use proto::analyze_segments_request::Message as Analyze;
    let settings = analysis_settings(&["m"]);
    let segments = proto::FileSegments {
        file: "f".into(),
        texts: (0..60).map(|number| words(SEGMENT_BYTES, 200 + number)).collect(),
        ..Default::default()
    };
    let messages = [Analyze::Settings(settings), Analyze::Segments(segments)];
    let encoded =
        messages.map(|it| proto::AnalyzeSegmentsRequest { message: Some(it) }.encode_to_vec());
    Attack {
        name: "4 analyses of 60 segments of 244 KB",
        method: ANALYSIS,
        messages: encoded.to_vec(),
        calls: 4,
        until_used: Duration::from_millis(700),
    }
}

fn extractions() -> Attack {
    use proto::extract_units_request::Message as Extract;
    let segments = (0..60).map(|number| proto::QuerySegment {
        segment: segment(&words(SEGMENT_BYTES, 200 + number)),
        ..Default::default()
    });
    let segments = proto::JobSegments { segments: segments.collect() };
    let settings = lookup_request(&["m"], "").settings.unwrap();
    let messages = [Extract::Settings(settings), Extract::Segments(segments)];
    let encoded =
        messages.map(|it| proto::ExtractUnitsRequest { message: Some(it) }.encode_to_vec());
    Attack {
        name: "4 extractions of 60 segments of 244 KB",
        method: EXTRACTION,
        messages: encoded.to_vec(),
        calls: 4,
        until_used: Duration::from_millis(700),
    }
}

fn splits() -> [Attack; 2] {
    let split = |piece: &str| {
        let text = piece.repeat(15 * MILLION / 7);
        let request =
            proto::SplitSentencesRequest { text, language_code: "en".into(), ..Default::default() };
        request.encode_to_vec()
    };
    [
        attack("4 splits of 15 MB", SPLIT, split("It is. "), 4, 1_000),
        attack("4 splits of 15 MB without an end", SPLIT, split("it (is "), 4, 1_000),
    ]
}

fn word_links() -> Attack {
    let pair = proto::WordPair {
        source: words(15_000, 0),
        target: words(15_000, 0),
        ..Default::default()
    };
    let request = proto::AlignWordsRequest {
        source_language_code: "ar".into(),
        target_language_code: "en".into(),
        pairs: vec![pair; 500],
        ..Default::default()
    };
    attack("4 links of 500 pairs of 15 KB", ALIGN_WORDS, request.encode_to_vec(), 4, 1_000)
}

fn alignments() -> [Attack; 3] {
    let text = |text: String| proto::DocumentSide { text, ..Default::default() };
    let short = || text("w v u. ".repeat(MILLION));
    let long = text("w v u ".repeat(14 * MILLION / 6));
    let messages = [
        ("4 alignments of 2 × 7 MB", align(short(), short())),
        ("4 alignments of one sentence of 14 MB", align(long, text("w v u.".into()))),
        ("4 alignments of 2 × 1 MB of names", align(names(MILLION, "Q"), names(MILLION, "Z"))),
    ];
    messages.map(|(name, message)| attack(name, ALIGN_DOCUMENTS, message, 4, 1_000))
}
