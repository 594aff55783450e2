//! Validates language codes, and suggests the code that was probably meant.
//!
//! Source: ISO 639-1 and 639-3 through the crate `isolang`; ISO 639-2 and RFC 5646 for what those do not have.

use isolang::Language;

use crate::unit::{Invalid, Lang};

/// Codes in use that ISO 639-3 lacks: groups of languages (ISO 639-5), and deprecated codes of BCP 47.
const OTHERS: [&str; 16] = [
    "bat", "ber", "bh", "bih", "cel", "in", "iw", "ji", "jw", "mis", "mo", "mul", "nah", "sh",
    "und", "zxx",
];

/// Bibliographic codes of ISO 639-2, with those of BCP 47.
const BIBLIOGRAPHIC: [(&str, &str); 20] = [
    ("alb", "sq"),
    ("arm", "hy"),
    ("baq", "eu"),
    ("bur", "my"),
    ("chi", "zh"),
    ("cze", "cs"),
    ("dut", "nl"),
    ("fre", "fr"),
    ("geo", "ka"),
    ("ger", "de"),
    ("gre", "el"),
    ("ice", "is"),
    ("mac", "mk"),
    ("mao", "mi"),
    ("may", "ms"),
    ("per", "fa"),
    ("rum", "ro"),
    ("slo", "sk"),
    ("tib", "bo"),
    ("wel", "cy"),
];

/// Validates that a language exists under this code: BCP 47 takes the shortest one.
///
/// # Errors
/// There is no such language; the message suggests the code that was probably meant.
pub fn check_language(lang: &Lang) -> Result<(), Invalid> {
    let code = lang.primary();
    if is_registered(code) {
        return Ok(());
    }
    let meant = meant(code).map_or_else(String::new, |meant| format!("; did you mean '{meant}'?"));
    Err(Invalid(format!("there is no language '{lang}'{meant}")))
}

/// Parses a language from user input.
///
/// # Errors
/// It is not a language tag, or there is no such language; the message suggests the code that was probably meant.
pub fn parse_language(text: &str) -> Result<Lang, Invalid> {
    let lang: Lang = match text.parse() {
        Ok(lang) => lang,
        Err(error) => {
            return Err(match meant(&text.to_lowercase()) {
                Some(meant) => Invalid(format!("{error}; did you mean '{meant}'?")),
                None => error,
            });
        }
    };
    check_language(&lang)?;
    Ok(lang)
}

/// The language that a file names, under its code in BCP 47 (`ar` for `ara` and `Arabic`); `None` if it names none.
pub fn named_language(text: &str) -> Option<Lang> {
    let lang: Lang = text.trim().parse().ok()?;
    let code = lang.primary();
    if is_registered(code) {
        return Some(lang);
    }
    let known = long_code(code).or_else(|| by_name(code))?;
    let rest = &lang.as_str()[code.len()..];
    format!("{known}{rest}").parse().ok()
}

fn is_registered(code: &str) -> bool {
    let is_private = code.starts_with("x-")
        || code == "i"
        || (code.len() == 3 && ("qaa"..="qtz").contains(&code));
    let registered = match code.len() {
        2 => Language::from_639_1(code).is_some(),
        3 => Language::from_639_3(code).is_some_and(|it| it.to_639_1().is_none()),
        _ => false,
    };
    is_private || registered || OTHERS.contains(&code)
}

/// The short code for a long one.
fn long_code(code: &str) -> Option<&'static str> {
    let bibliographic =
        BIBLIOGRAPHIC.iter().find(|(long, _)| *long == code).map(|(_, short)| *short);
    bibliographic.or_else(|| Language::from_639_3(code)?.to_639_1())
}

fn code_of(language: Language) -> &'static str {
    language.to_639_1().unwrap_or_else(|| language.to_639_3())
}

/// The language with an English name.
fn by_name(name: &str) -> Option<&'static str> {
    let mut all = Language::match_names(|_| true);
    all.find(|it| it.to_name().eq_ignore_ascii_case(name)).map(code_of)
}

/// The code that was probably meant.
fn meant(text: &str) -> Option<&'static str> {
    long_code(text).or_else(|| by_name(text)).or_else(|| {
        // A short word is a misspelt code, a longer one a misspelt name.
        let is_code = text.chars().count() <= 3;
        let languages = Language::match_names(|_| true);
        let near = languages.filter_map(|language| {
            let (known, most) = if is_code {
                (language.to_639_1()?.to_owned(), 1)
            } else {
                (language.to_name().to_lowercase(), 2)
            };
            // At the same distance, languages with a short code are larger.
            let distance = distance(text, &known);
            let rank = (distance, language.to_639_1().is_none(), code_of(language));
            (distance <= most).then_some(rank)
        });
        near.min().map(|(_, _, code)| code)
    })
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let change = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_that_there_are() {
        for known in [
            "ar",
            "en",
            "ar-SA",
            "zh-Hant-TW",
            "ckb",
            "fil",
            "prs",
            "pt_BR",
            "sr-Latn",
            "iw",
            "ber",
            "qaa",
            "qtz-SA",
            "x-klingon",
            "und",
            "mul",
            "yue",
        ] {
            assert!(parse_language(known).is_ok(), "{known}");
        }
    }

    #[test]
    fn a_word_that_is_no_language_is_refused_with_the_code_that_was_meant() {
        for (word, meant) in [
            ("arabic", Some("ar")),
            ("Arabic", Some("ar")),
            ("englsh", Some("en")),
            ("eng", Some("en")),
            ("ara", Some("ar")),
            ("fre", Some("fr")),
            ("ger-AT", Some("de")),
            ("quechuan", Some("qu")),
            ("xx", Some("xh")),
            ("a", None),
            ("", None),
            ("notalanguage", None),
        ] {
            let message = parse_language(word).unwrap_err().to_string();
            match meant {
                Some(code) => {
                    assert!(message.ends_with(&format!("did you mean '{code}'?")), "{message}");
                }
                None => assert!(!message.is_empty()),
            }
        }
    }

    #[test]
    fn files_name_languages_in_other_ways() {
        let named = |text: &str| named_language(text).map(|it| it.to_string());
        assert_eq!(named("ara").as_deref(), Some("ar"));
        assert_eq!(named("Arabic").as_deref(), Some("ar"));
        assert_eq!(named("eng-US").as_deref(), Some("en-US"));
        assert_eq!(named("ckb").as_deref(), Some("ckb"));
        assert_eq!(named("klingonese"), None);
        assert_eq!(named(""), None);
    }
}
