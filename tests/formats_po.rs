//! Gettext catalogues in: what is read of a message, and what an obsolete one keeps.

use dhakira::formats::{Format, ReadOptions, Unfinished};
use dhakira::unit::UNFINISHED_ATTRIBUTE;
use dhakira::unit::{DiagnosticCode, Timestamp};

use crate::formats_exchange::{options, read};

#[test]
fn messages_of_gettext() {
    let text = "# translator\nmsgid \"\"\nmsgstr \"\"\n\"Language: ar\\n\"\n\"Last-Translator: Sara\\n\"\n\
        \"PO-Revision-Date: 2020-01-31 23:59+0300\\n\"\n\"Plural-Forms: nplurals=6; plural=n==0 ? 0 : n==1 ? 1 : 5;\\n\"\n\n\
        #. extracted\n#: a.c:1\n#, fuzzy, c-format\n#| msgid \"old\"\nmsgctxt \"menu\"\nmsgid \"O\\\"pen\\n\"\n\"ed\"\nmsgstr \"\u{641}\"\n\n\
        msgid \"%d file\"\nmsgid_plural \"%d files\"\nmsgstr[0] \"a\"\nmsgstr[1] \"b\"\n\n\
        msgid \"none\"\nmsgstr \"\"\n\n#~ msgid \"gone\"\n#~ msgstr \"c\"\n\nmsgid \"bad\nmsgstr \"d\"\n";
    let mut wanted = options("en", "ar");
    let it = read(text, &wanted);
    assert_eq!((it.units.len(), it.unfinished), (3, vec![9]));
    wanted.unfinished = Unfinished::Keep;
    let it = read(text, &wanted);
    assert_eq!(it.units[0].attributes[UNFINISHED_ATTRIBUTE], "fuzzy");
    assert_eq!(it.format, Some(Format::Po));
    let pairs: Vec<_> =
        it.units.iter().map(|it| (it.source.text.as_str(), it.target.text.as_str())).collect();
    assert_eq!(
        pairs,
        [("O\"pen\ned", "\u{641}"), ("%d files", "a"), ("%d file", "b"), ("gone", "c")]
    );
    let attributes = &it.units[0].attributes;
    for (name, value) in [
        ("msgctxt", "menu"),
        ("flags", "fuzzy, c-format"),
        ("previous-msgid", "old"),
        ("comment", "extracted"),
        ("references", "a.c:1"),
    ] {
        assert_eq!(attributes[name], value);
    }
    assert_eq!(it.units[0].author, "Sara");
    assert_eq!(it.units[0].changed, Some(Timestamp { micros: 1_580_504_340_000_000 }));
    assert_eq!(it.units[3].attributes["obsolete"], "true");
    assert_eq!(it.rejected, [(DiagnosticCode::MissingTarget, 23), (DiagnosticCode::Malformed, 29)]);
    // The memory's direction is the other one.
    wanted = ReadOptions { unfinished: Unfinished::Keep, ..options("ar", "en") };
    assert_eq!(read(text, &wanted).units[0].source.text, "\u{641}");
}

/// What `msgmerge --previous` writes of messages that are gone, one with context and plural, one over several lines.
#[test]
fn obsolete_messages_keep_what_they_were_before() {
    let text = "msgid \"\"\nmsgstr \"Language: en\\n\"\n\n\
        #, c-format\n#~| msgctxt \"menu\"\n#~| msgid \"one\"\n#~| msgid_plural \"many\"\n#~ msgctxt \"dialogue\"\n\
        #~ msgid \"\u{628}\"\n#~ msgid_plural \"\u{628}\u{628}\"\n#~ msgstr[0] \"b\"\n#~ msgstr[1] \"bb\"\n\
        #, fuzzy\n#~| msgid \"\"\n#~| \"two \"\n#~| \"lines\"\n#~ msgid \"\u{62c}\"\n#~ msgstr \"j\"\n\n\
        #| msgctxt \"\"\n#| \"long \"\n#| \"context\"\n#| msgid \"old\"\nmsgid \"\u{62f}\"\nmsgstr \"d\"\n";
    let it = read(text, &options("ar", "en"));
    assert_eq!((it.rejected.len(), it.broken.len()), (0, 0));
    let said = |number: usize, name: &str| -> &str {
        it.units[number].attributes.get(name).map_or("", String::as_str)
    };
    let targets: Vec<&str> = it.units.iter().map(|it| it.target.text.as_str()).collect();
    assert_eq!(targets, ["b", "bb", "j", "d"]);
    for number in 0..2 {
        assert_eq!(said(number, "previous-msgctxt"), "menu");
        assert_eq!(said(number, "previous-msgid"), "one");
        assert_eq!(said(number, "previous-msgid_plural"), "many");
        assert_eq!(said(number, "msgctxt"), "dialogue");
        assert_eq!((said(number, "obsolete"), said(number, "flags")), ("true", "c-format"));
    }
    assert_eq!((said(2, "previous-msgid"), said(2, "previous-msgctxt")), ("two lines", ""));
    assert_eq!((said(3, "previous-msgctxt"), said(3, "previous-msgid")), ("long context", "old"));
    assert_eq!((said(2, "obsolete"), said(3, "obsolete")), ("true", ""));
    // It will never be finished, so it is not left out either.
    assert_eq!((said(1, UNFINISHED_ATTRIBUTE), said(2, UNFINISHED_ATTRIBUTE)), ("", "fuzzy"));
}
