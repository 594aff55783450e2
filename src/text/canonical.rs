//! Converts text to its canonical form, and maps ranges of it back to the original.
//!
//! The form is NFC (UAX #15). A run of white space becomes one space, none at the ends, except a no-break space
//! between groups of digits. Bidirectional controls (UAX #9), soft hyphens and zero-width characters are removed,
//! except joiners inside Arabic or other joined text. Presentation forms become their letters, except ligatures for
//! whole words (U+FDF0 to U+FDFF).

use std::borrow::Cow;
use std::iter::Peekable;
use std::ops::Range;

use unicode_normalization::char::{canonical_combining_class, decompose_compatible};
use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfc_quick};

use crate::unit::Segment;

use super::chars::is_arabic_mark;

/// The canonical form of a text: exact matches have equal ones.
pub fn canonical(text: &str) -> Cow<'_, str> {
    if is_canonical(text) {
        return Cow::Borrowed(text);
    }
    let mut canonical = Canonical::default();
    canonical.set(text, &mut std::iter::empty());
    if canonical.text == text { Cow::Borrowed(text) } else { Cow::Owned(canonical.text) }
}

/// The canonical form of a segment, with a space where a tag stands for white space.
pub fn canonical_of_segment(segment: &Segment) -> Cow<'_, str> {
    if segment.breaks().next().is_none() {
        return canonical(&segment.text);
    }
    let mut canonical = Canonical::default();
    canonical.set(&segment.text, &mut segment.breaks());
    Cow::Owned(canonical.text)
}

/// A canonical text and where its characters came from.
#[derive(Debug, Clone, Default)]
pub(super) struct Canonical {
    pub(super) text: String,
    /// For each character of `text` its place and the bytes of the original that it stands for. Empty when the
    /// original is canonical.
    places: Vec<Place>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    canonical: u32,
    start: u32,
    end: u32,
}

impl Canonical {
    /// Computes the canonical form of a text and reuses the memory. `breaks` are byte offsets, in order, of white
    /// space that is not written.
    pub(super) fn set(&mut self, original: &str, breaks: &mut impl Iterator<Item = usize>) {
        self.text.clear();
        self.places.clear();
        let mut breaks = breaks.peekable();
        if breaks.peek().is_none() && is_canonical(original) {
            self.text.push_str(original);
        } else {
            self.build(original, &mut breaks);
        }
    }

    /// The bytes of the original that a range of the canonical text stands for; for an empty range the place before
    /// the next character.
    pub(super) fn original(&self, range: Range<usize>) -> Range<usize> {
        if self.places.is_empty() {
            return range;
        }
        let first = self.place(range.start);
        let Some(start) = self.places.get(first).map(|place| place.start as usize) else {
            let end = self.places.last().map_or(0, |place| place.end as usize);
            return end..end;
        };
        let end = match self.place(range.end) {
            past if past > first => self.places[past - 1].end as usize,
            _ => start,
        };
        start..end.max(start)
    }

    /// The first character at or after a byte of the canonical text.
    fn place(&self, canonical: usize) -> usize {
        self.places.partition_point(|place| (place.canonical as usize) < canonical)
    }

    fn build(&mut self, original: &str, breaks: &mut Peekable<impl Iterator<Item = usize>>) {
        let mut cluster = Cluster::default();
        let mut space: Option<(Place, char)> = None;
        let mut characters = original.char_indices().peekable();
        let mut before = None;
        while let Some((start, character)) = characters.next() {
            let end = start + character.len_utf8();
            while breaks.next_if(|place| *place <= start).is_some() {
                self.flush(&mut cluster);
                if !self.text.is_empty() {
                    let first = space.map_or(index(start), |(space, _)| space.start);
                    let place = Place { canonical: 0, start: first, end: index(start) };
                    space = Some((place, ' '));
                }
                before = None;
            }
            let after = characters.peek().map(|(_, next)| *next);
            let kind = kind(character, before, after);
            before = Some(character);
            match kind {
                Kind::Dropped => {}
                Kind::Space => {
                    self.flush(&mut cluster);
                    if !self.text.is_empty() {
                        let written = match space {
                            None if self.parts_groups(character, &original[end..]) => '\u{a0}',
                            _ => ' ',
                        };
                        let start = space.map_or(index(start), |(space, _)| space.start);
                        space = Some((Place { canonical: 0, start, end: index(end) }, written));
                    }
                }
                Kind::Kept => {
                    if let Some((space, written)) = space.take() {
                        self.push(written, space.start, space.end);
                    }
                    self.add(&mut cluster, character, start, end);
                }
            }
        }
        self.flush(&mut cluster);
    }

    /// Whether a space separates two groups of one number: it does not break lines, and is between one to three
    /// digits and exactly three. A plain space may be between two numbers.
    fn parts_groups(&self, space: char, after: &str) -> bool {
        let no_break = matches!(space, '\u{a0}' | '\u{2007}' | '\u{2009}' | '\u{202f}');
        if !no_break || !self.text.ends_with(is_digit) {
            return false;
        }
        let digits_before = self.text.chars().rev().take(4).take_while(|it| is_digit(*it)).count();
        let digits_after = after.chars().take(4).take_while(|it| is_digit(*it)).count();
        // Nothing that the canonical form removes or joins may follow: the rule must hold for the canonical text too.
        let next = after.chars().nth(3);
        let stays = |it: char| it != '\u{61c}' && (is_plain(it) || it.is_whitespace());
        digits_before <= 3 && digits_after == 3 && next.is_none_or(stays)
    }

    fn add(&mut self, cluster: &mut Cluster, character: char, start: usize, end: usize) {
        if is_presentation_form(character) {
            decompose_compatible(character, |part| {
                // An isolated form of a mark decomposes to a space and the mark.
                if part != ' ' {
                    self.extend(cluster, part, start, end);
                }
            });
        } else {
            self.extend(cluster, character, start, end);
        }
    }

    /// Collects what NFC may reorder or compose; that ends before a starter that composes with nothing before it.
    fn extend(&mut self, cluster: &mut Cluster, character: char, start: usize, end: usize) {
        let begins_anew = is_plain(character)
            || canonical_combining_class(character) == 0
                && is_nfc_quick(std::iter::once(character)) != IsNormalized::Maybe;
        if begins_anew || cluster.len() >= CLUSTER_CHARS_MAX {
            self.flush(cluster);
        }
        cluster.push((character, index(start), index(end)));
    }

    /// Composes what was collected. The first composed character stands for the first collected one, and so on; the
    /// last one for all the rest.
    fn flush(&mut self, cluster: &mut Cluster) {
        let Some(&(_, _, end)) = cluster.last() else { return };
        if let [(character, start, end)] = **cluster
            && is_plain(character)
        {
            self.push(character, start, end);
            cluster.clear();
            return;
        }
        let mut composed = cluster.iter().map(|(character, ..)| *character).nfc().peekable();
        let mut sources = cluster.iter();
        let mut last = (end, end);
        let mut places = Vec::with_capacity(cluster.len());
        while let Some(character) = composed.next() {
            if let Some(&(_, start, source_end)) = sources.next() {
                last = (start, source_end);
            }
            let end = if composed.peek().is_none() { end } else { last.1 };
            places.push((character, last.0, end));
        }
        for (character, start, end) in places {
            self.push(character, start, end);
        }
        cluster.clear();
    }

    fn push(&mut self, character: char, start: u32, end: u32) {
        self.places.push(Place { canonical: index(self.text.len()), start, end });
        self.text.push(character);
    }
}

/// Most marks on one base that are reordered together. Longer runs are normalised in pieces, so that a text of
/// nothing but marks takes linear time (compare "stream-safe" in UAX #15).
const CLUSTER_CHARS_MAX: usize = 128;

/// Characters that NFC considers together, each with its bytes of the original.
type Cluster = Vec<(char, u32, u32)>;

fn index(byte: usize) -> u32 {
    // A segment is far below 4 GiB.
    u32::try_from(byte).unwrap_or(u32::MAX)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Kept,
    Space,
    Dropped,
}

fn kind(character: char, before: Option<char>, after: Option<char>) -> Kind {
    match character {
        ' ' => Kind::Space,
        _ if is_plain(character) => Kind::Kept,
        '\u{200c}' | '\u{200d}' => {
            let shapes = |it: Option<char>| {
                it.is_some_and(|it| {
                    it.is_alphabetic() || is_arabic_mark(it) || it as u32 >= 0x1_f000
                })
            };
            if shapes(before) && shapes(after) { Kind::Kept } else { Kind::Dropped }
        }
        '\u{ad}'
        | '\u{180e}'
        | '\u{200b}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{61c}' => Kind::Dropped,
        _ if character.is_whitespace() => Kind::Space,
        _ => Kind::Kept,
    }
}

fn is_digit(character: char) -> bool {
    matches!(character, '0'..='9' | '\u{660}'..='\u{669}' | '\u{6f0}'..='\u{6f9}')
}

fn is_presentation_form(character: char) -> bool {
    matches!(character, '\u{fb50}'..='\u{fdef}' | '\u{fe70}'..='\u{fefc}')
}

/// How [`is_canonical`] classifies a character.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Closer,
    Plain,
    Space,
    /// Canonical as the only mark of its letter.
    Mark,
}

/// The classes of the characters that nearly all texts consist of.
static LOOKS: [Look; DENSE as usize] = {
    let mut looks = [Look::Closer; DENSE as usize];
    let mut code = 0;
    while code < DENSE {
        if let Some(character) = char::from_u32(code) {
            looks[code as usize] = match character {
                ' ' => Look::Space,
                '\u{64b}'..='\u{652}' | '\u{670}' => Look::Mark,
                _ if is_plain(character) => Look::Plain,
                _ => Look::Closer,
            };
        }
        code += 1;
    }
    looks
};

const DENSE: u32 = 0x700;

/// Whether a text is certainly its own canonical form; `false` may also mean unknown.
pub(super) fn is_canonical(text: &str) -> bool {
    let mut before = Look::Space;
    for character in text.chars() {
        let look = match LOOKS.get(character as usize) {
            Some(look) => *look,
            None if is_plain(character) => Look::Plain,
            None => return false,
        };
        let stays = match look {
            Look::Plain => true,
            Look::Space => before != Look::Space,
            Look::Mark => before == Look::Plain,
            Look::Closer => false,
        };
        if !stays {
            return false;
        }
        before = look;
    }
    before != Look::Space || text.is_empty()
}

/// Common characters that stay as they are and compose with nothing before them; not all of that kind.
#[inline]
const fn is_plain(character: char) -> bool {
    matches!(character,
        '!'..='~'
        | '\u{60c}'
        | '\u{61b}'
        | '\u{61f}'..='\u{64a}'
        | '\u{660}'..='\u{66f}'
        | '\u{a1}'..='\u{ac}'
        | '\u{ae}'..='\u{2ff}'
        | '\u{671}'..='\u{6d3}'
        | '\u{400}'..='\u{45f}'
        | '\u{2010}'..='\u{2027}'
        | '\u{2030}'..='\u{205e}'
        | '\u{20a0}'..='\u{20c0}')
}
