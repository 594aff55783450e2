//! What a file says of itself: its languages, and what is unfinished in it.

use dhakira::formats::{ReadOptions, Unfinished};
use dhakira::unit::DiagnosticCode;
use dhakira::unit::UNFINISHED_ATTRIBUTE;

use crate::formats_exchange::{Read, options, read};

fn po(lang: &str, source: &str) -> String {
    let header = |name: &str, value: &str| match value {
        "" => String::new(),
        value => format!("\"{name}: {value}\\n\"\n"),
    };
    let (lang, source) = (header("Language", lang), header("X-Source-Language", source));
    format!("msgid \"\"\nmsgstr \"\"\n{lang}{source}\nmsgid \"one\"\nmsgstr \"two\"\n")
}

fn texts(it: &Read) -> Vec<(&str, &str)> {
    it.units.iter().map(|it| (it.source.text.as_str(), it.target.text.as_str())).collect()
}

#[test]
fn a_catalogue_in_another_language_is_rejected_once() {
    const FORWARD: &[(&str, &str)] = &[("one", "two")];
    const REVERSED: &[(&str, &str)] = &[("two", "one")];
    for (lang, source, memory, expected) in [
        ("ar", "", ("en", "ar"), FORWARD),
        ("ar_EG", "", ("en", "ar"), FORWARD),
        ("ara", "en", ("en", "ar"), FORWARD),
        ("", "", ("en", "ar"), FORWARD),
        ("ar", "", ("ar", "en"), REVERSED),
        ("ar", "", ("ar", "fr"), &[]),
        ("ar", "fr", ("ar", "fr"), REVERSED),
        ("fr", "", ("en", "ar"), &[]),
        ("fa@latin", "", ("en", "ar"), &[]),
        ("ar", "de", ("en", "ar"), &[]),
    ] {
        let text = po(lang, source);
        let mut wanted = options(memory.0, memory.1);
        let it = read(&text, &wanted);
        assert_eq!(texts(&it), expected, "{lang} {source} {memory:?}");
        let rejected: Vec<_> = it.rejected.iter().map(|(cause, _)| *cause).collect();
        let once =
            if expected.is_empty() { vec![DiagnosticCode::DeclaredLanguage] } else { vec![] };
        assert_eq!((rejected, it.broken.len()), (once, 0), "{lang} {source}");
        wanted.ignore_declared_languages = true;
        assert_eq!(texts(&read(&text, &wanted)), FORWARD);
    }
}

#[test]
fn a_file_in_an_xliff_document_is_rejected_by_itself() {
    let file = |source: &str, target: &str, text: &str| {
        format!(
            "<file original='{text}' source-language='{source}' target-language='{target}'><body><trans-unit id='1'>\
             <source>{text}</source><target>t</target></trans-unit><trans-unit id='2'><source>{text} 2</source>\
             <target>t</target></trans-unit></body></file>"
        )
    };
    let text = [
        "<xliff version='1.2'>",
        &file("en", "fa", "a"),
        &file("en-US", "ar-SA", "b"),
        &file("de", "ar", "c"),
        &file("ar", "en", "d"),
        "</xliff>",
    ]
    .concat();
    let it = read(&text, &options("en", "ar"));
    assert_eq!(texts(&it), [("b", "t"), ("b 2", "t"), ("t", "d"), ("t", "d 2")]);
    assert_eq!(it.rejected.len(), 2);
    assert!(it.rejected.iter().all(|(cause, _)| *cause == DiagnosticCode::DeclaredLanguage));
    let all = ReadOptions { ignore_declared_languages: true, ..options("en", "ar") };
    assert_eq!(read(&text, &all).units.len(), 8);
    let new = "<xliff version='2.0' srcLang='de' trgLang='fr'><file id='f'><unit id='u'><segment><source>x</source>\
        <target>y</target></segment></unit></file><file id='g'/></xliff>";
    let it = read(new, &options("en", "ar"));
    assert_eq!((it.units.len(), it.rejected.len(), it.broken.len()), (0, 1, 0));
}

#[test]
fn what_a_file_calls_unfinished_is_left_out_or_kept_with_its_state() {
    let old = |attributes: &str, state: &str| {
        format!(
            "<xliff version='1.2' xmlns:mq='MQXliff'><file source-language='en' target-language='ar'><body>\
             <trans-unit id='1' {attributes}><source>s</source><target {state}>t</target>\
             <alt-trans><source>a</source><target>b</target></alt-trans></trans-unit></body></file></xliff>"
        )
    };
    let new = |state: &str| {
        format!(
            "<xliff version='2.1' srcLang='en' trgLang='ar'><file id='f'><unit id='u'><segment {state}><source>s</source>\
             <target>t</target></segment></unit></file></xliff>"
        )
    };
    let sdl = |conf: &str| {
        format!(
            "<xliff version='1.2'><file source-language='en' target-language='ar'><body><trans-unit id='u'><source>s</source>\
             <seg-source><mrk mtype='seg' mid='1'>s</mrk></seg-source><target><mrk mtype='seg' mid='1'>t</mrk></target>\
             <sdl:seg-defs><sdl:seg id='1' conf='{conf}'/></sdl:seg-defs></trans-unit></body></file></xliff>"
        )
    };
    let po = |flags: &str| format!("{flags}msgid \"s\"\nmsgstr \"t\"\n");
    for (text, state) in [
        (old("", "state='new'"), Some("new")),
        (old("", "state='needs-review-translation'"), Some("needs-review-translation")),
        (old("mq:status='Pretranslated'", ""), Some("Pretranslated")),
        (old("", "state='translated'"), None),
        (old("approved='no'", ""), None),
        (old("mq:status='ManuallyConfirmed'", ""), None),
        (new("state='initial'"), Some("initial")),
        (new("state='final'"), None),
        (new(""), None),
        (sdl("Draft"), Some("Draft")),
        (sdl("Translated"), None),
        (po("#, fuzzy\n"), Some("fuzzy")),
        (po("#, c-format,fuzzy\n"), Some("fuzzy")),
        (po("#, no-fuzzy, c-format\n"), None),
    ] {
        let mut wanted = options("en", "ar");
        let is_whole = |it: &Read| it.units.iter().any(|it| it.source.text == "s");
        let it = read(&text, &wanted);
        assert_eq!(
            (is_whole(&it), it.unfinished.len()),
            (state.is_none(), usize::from(state.is_some())),
            "{text}"
        );
        // A candidate is not the unit that it is for.
        let candidates = it.units.iter().filter(|it| it.source.text == "a").count();
        assert_eq!(candidates, usize::from(text.contains("alt-trans")), "{text}");
        wanted.unfinished = Unfinished::Keep;
        let it = read(&text, &wanted);
        assert!(is_whole(&it) && it.unfinished.is_empty(), "{text}");
        let kept = it.units[0].attributes.get(UNFINISHED_ATTRIBUTE).map(String::as_str);
        assert_eq!(kept, state, "{text}");
    }
}
