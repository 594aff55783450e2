//! Stems words lightly: forms of one word share a class.
//!
//! Arabic: clitics and endings as in light10 (Larkey, Ballesteros and Connell, "Improving stemming for Arabic
//! information retrieval", SIGIR 2002), removed repeatedly, so that a word gets the same class with and without a
//! clitic; at least three letters remain. English: plurals, -ed, -ing.

use super::chars::is_arabic_letter;

/// Fewest letters of a stem.
const LETTERS_MIN: usize = 3;

/// Endings by their last letter, the longer first: possessives after teh, possessives, dual and plural, relative
/// adjective, teh marbuta, accusative alef. Folded letters: teh marbuta is heh, alef maksura is yeh.
const ARABIC_ENDINGS: [(&str, &[&str]); 6] = [
    (
        "\u{627}",
        &[
            "\u{62a}\u{647}\u{645}\u{627}", // ta-huma
            "\u{62a}\u{647}\u{627}",        // ta-ha
            "\u{62a}\u{646}\u{627}",        // ta-na
            "\u{647}\u{645}\u{627}",        // huma
            "\u{647}\u{627}",               // ha
            "\u{646}\u{627}",               // na
            "\u{627}",                      // -an
        ],
    ),
    (
        "\u{645}",
        &[
            "\u{62a}\u{647}\u{645}", // ta-hum
            "\u{62a}\u{643}\u{645}", // ta-kum
            "\u{647}\u{645}",        // hum
            "\u{643}\u{645}",        // kum
        ],
    ),
    (
        "\u{646}",
        &[
            "\u{64a}\u{648}\u{646}", // -iyyun
            "\u{64a}\u{64a}\u{646}", // -iyyin
            "\u{647}\u{646}",        // hunna
            "\u{648}\u{646}",        // -un
            "\u{64a}\u{646}",        // -in
            "\u{627}\u{646}",        // -an
        ],
    ),
    ("\u{62a}", &["\u{64a}\u{627}\u{62a}", "\u{627}\u{62a}"]), // -iyyat, -at
    ("\u{647}", &["\u{62a}\u{647}", "\u{647}"]),               // ta-hu; -a, hu
    ("\u{64a}", &["\u{64a}"]),                                 // -i
];

const ALEF: char = '\u{627}';
const LAM: char = '\u{644}';
const SEEN: char = '\u{633}';
const YEH: char = '\u{64a}';
const WAW: char = '\u{648}';

/// Appends the class of a folded word.
pub(super) fn class_of(folded: &str, english: bool, out: &mut String) {
    match folded.chars().next() {
        Some(first) if is_arabic_letter(first) => arabic(folded, out),
        Some(_) if english && folded.is_ascii() => out.push_str(english_stem(folded)),
        _ => out.push_str(folded),
    }
}

fn arabic(word: &str, out: &mut String) {
    let mut stem = word;
    loop {
        let shorter = without_beginning(without_ending(stem));
        if shorter.len() == stem.len() {
            break;
        }
        stem = shorter;
    }
    spelling_class(stem, out);
}

fn long_enough(stem: &str) -> bool {
    stem.chars().nth(LETTERS_MIN - 1).is_some()
}

fn without_ending(word: &str) -> &str {
    let of_letter = ARABIC_ENDINGS.iter().find(|(letter, _)| word.ends_with(letter));
    let endings = of_letter.into_iter().flat_map(|(_, endings)| endings.iter());
    let mut shorter = endings.filter_map(|ending| word.strip_suffix(ending));
    shorter.find(|rest| long_enough(rest)).unwrap_or(word)
}

/// Removes one of wa, fa, bi, ka, li, sa, al, lil.
fn without_beginning(word: &str) -> &str {
    let mut letters = word.chars();
    let (first, second) = (letters.next(), letters.next());
    let lil = first == Some(LAM) && second == Some(LAM);
    if first == Some(ALEF) && second == Some(LAM) || lil {
        let rest = letters.as_str();
        return if long_enough(rest) { rest } else { word };
    }
    let mut rest = word.chars();
    let clitic = match rest.next() {
        // wa, fa, bi, li
        Some('\u{648}' | '\u{641}' | '\u{628}' | '\u{644}') => true,
        // ka only before the article: otherwise too many words begin with it.
        Some('\u{643}') => rest.as_str().starts_with("\u{627}\u{644}"),
        // sa only before a future verb: ya, ta, na, a
        Some(SEEN) => {
            rest.as_str().starts_with(['\u{64a}', '\u{62a}', '\u{646}', '\u{627}'])
                && rest.as_str().chars().count() > LETTERS_MIN
        }
        _ => false,
    };
    if clitic && long_enough(rest.as_str()) { rest.as_str() } else { word }
}

/// Foreign names are spelled with or without long vowels (amriki, amirki; uruba, urubba): from five letters on, yeh
/// and waw inside a stem are ignored. The mark separates such classes from stems without these letters.
fn spelling_class(stem: &str, out: &mut String) {
    let letters = stem.chars().count();
    let is_vowel = |letter: char| matches!(letter, YEH | WAW);
    let inside = |place: usize| place > 0 && place + 1 < letters;
    let has_vowel = stem.chars().enumerate().any(|(place, it)| is_vowel(it) && inside(place));
    if letters < 5 || !has_vowel {
        out.push_str(stem);
        return;
    }
    out.push('~');
    let kept = stem.chars().enumerate().filter(|&(place, it)| !(is_vowel(it) && inside(place)));
    out.extend(kept.map(|(_, letter)| letter));
}

fn english_stem(word: &str) -> &str {
    let word = word.strip_suffix("'s").unwrap_or(word);
    for ending in ["ing", "ed", "es", "s", "e"] {
        if let Some(rest) = word.strip_suffix(ending)
            && rest.len() >= LETTERS_MIN
            && !(ending == "s" && rest.ends_with('s'))
        {
            // "creates", "created" and "create" lose their e together.
            return rest.strip_suffix('e').filter(|it| it.len() >= LETTERS_MIN).unwrap_or(rest);
        }
    }
    word
}
