//! Writes an alignment as an HTML page: two columns, the confidence as colour.

use std::io::Write;

use crate::alignment::Bead;
use crate::engine::DocumentPair;

const STYLE: &str = "\
body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:76rem;padding:0 1rem;color:#222}\
table{border-collapse:collapse;width:100%}\
td{border-bottom:1px solid #ddd;padding:.4rem .7rem;vertical-align:top;width:47%}\
td.sure{width:6%;text-align:center;font-variant-numeric:tabular-nums}\
td[dir=rtl]{font-size:1.1em}\
td.none{background:repeating-linear-gradient(45deg,#f4f4f4 0 6px,#fff 6px 12px)}\
sup{color:#888;margin-inline-end:.3em}";

/// Languages that are written from right to left.
const RIGHT_TO_LEFT: [&str; 9] = ["ar", "fa", "ur", "ps", "ckb", "sd", "ug", "he", "yi"];

/// Writes the page.
pub(super) fn write_page(
    pair: &DocumentPair,
    beads: &[Bead],
    out: &mut impl Write,
) -> anyhow::Result<()> {
    writeln!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Alignment</title><style>{STYLE}</style></head>\
         <body>\n<h1>Alignment</h1>\n<p>{} and {} sentences, {} beads. The colour says how sure a bead is: from red, a guess, \
         to green.</p>\n<table>",
        pair.source.len(),
        pair.target.len(),
        beads.len()
    )?;
    for bead in beads {
        // From red (0) to green (120).
        let hue = bead.confidence.clamp(0.0, 1.0) * 120.0;
        write!(out, "<tr>")?;
        write_side(out, (&pair.source, &pair.source_lang), bead.source.clone())?;
        write!(
            out,
            "<td class=\"sure\" style=\"background:hsl({hue:.0},70%,85%)\">{:.2}</td>",
            bead.confidence
        )?;
        write_side(out, (&pair.target, &pair.target_lang), bead.target.clone())?;
        writeln!(out, "</tr>")?;
    }
    writeln!(out, "</table></body></html>")?;
    Ok(())
}

fn write_side(
    out: &mut impl Write,
    (sentences, lang): (&[String], &crate::unit::Lang),
    range: std::ops::Range<usize>,
) -> anyhow::Result<()> {
    let direction = if RIGHT_TO_LEFT.contains(&lang.primary()) { "rtl" } else { "ltr" };
    let class = if range.is_empty() { " class=\"none\"" } else { "" };
    write!(out, "<td dir=\"{direction}\" lang=\"{}\"{class}>", escaped(lang.as_str()))?;
    for number in range {
        write!(out, "<sup>{}</sup>{} ", number + 1, escaped(&sentences[number]))?;
    }
    write!(out, "</td>")?;
    Ok(())
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            _ => escaped.push(letter),
        }
    }
    escaped
}
