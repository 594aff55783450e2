//! `dhakira tokens`: shows the tokens of segments, so that a score can be recomputed outside.

use std::io::{self, BufWriter, Write as _};

use clap::Args;
use serde::Serialize;

use crate::text::{Analysis, Analyzer, TEXT_VERSION, TokenKind};
use crate::unit::Lang;

use super::access_tokens::AccessTokens;
use super::input::stdin_lines;
use super::outcome::Outcome;
use crate::terminal::{isolate, json_to, stdout, table};

/// Show the tokens of segments, one segment a line: what a lookup compares.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_help_heading = "The same as `dhakira access-tokens`"
)]
#[command(after_help = format!("Offsets are code points of the line. Tokens are equal for the score when their folded forms are, \
    alike when only their classes are. Version of the rules: {TEXT_VERSION}."))]
pub(super) struct Tokens {
    /// Language of the segments.
    #[arg(long, short, value_name = "LANG", default_value = "ar")]
    lang: Lang,
    /// One JSON object a segment, one a line.
    #[arg(long)]
    json: bool,
    /// Segments; standard input, one a line, when there are none.
    #[arg(value_name = "SEGMENT")]
    segments: Vec<String>,
    #[command(subcommand)]
    access: Option<AccessTokens>,
}

#[derive(Serialize)]
struct Line<'a> {
    canonical: &'a str,
    tokens: Vec<TokenLine<'a>>,
}

#[derive(Serialize)]
struct TokenLine<'a> {
    text: &'a str,
    start: usize,
    end: usize,
    folded: &'a str,
    class: &'a str,
    kind: &'static str,
    /// Which kind of placeable or number.
    #[serde(rename = "type")]
    detail: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
}

impl Tokens {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        if let Some(access) = self.access {
            return access.run();
        }
        let analyzer = Analyzer::new(&self.lang);
        let mut analysis = Analysis::default();
        let mut out = BufWriter::new(stdout());
        let segments: Box<dyn Iterator<Item = anyhow::Result<String>>> = if self.segments.is_empty()
        {
            Box::new(stdin_lines())
        } else {
            Box::new(self.segments.iter().cloned().map(Ok))
        };
        for segment in segments {
            let segment = segment?;
            analyzer.analyze_into(&segment, &mut analysis);
            let line =
                Line { canonical: analysis.canonical(), tokens: tokens(&segment, &analysis) };
            if self.json {
                json_to(&mut out, &line)?;
            } else {
                print(&line, &mut out)?;
            }
        }
        out.flush()?;
        Ok(Outcome::Done)
    }
}

fn tokens<'a>(segment: &'a str, analysis: &'a Analysis) -> Vec<TokenLine<'a>> {
    let (mut bytes, mut points) = (0, 0);
    let lines = analysis.tokens().iter().map(|token| {
        let span = analysis.span(token);
        let text = &segment[span.clone()];
        points += segment[bytes..span.start].chars().count();
        let start = points;
        points += text.chars().count();
        bytes = span.end;
        TokenLine {
            text,
            start,
            end: points,
            folded: analysis.folded(token),
            class: analysis.class(token),
            kind: kind(token.kind),
            detail: token.kind.name(),
            value: analysis.value(token).map(|value| value.to_string()),
        }
    });
    lines.collect()
}

fn kind(kind: TokenKind) -> &'static str {
    match kind {
        TokenKind::Word => "word",
        TokenKind::Number => "number",
        TokenKind::Tag => "tag",
        TokenKind::Punctuation => "punctuation",
        TokenKind::Date
        | TokenKind::Percent
        | TokenKind::Currency
        | TokenKind::Url
        | TokenKind::Email
        | TokenKind::Placeholder
        | TokenKind::Code => "placeable",
    }
}

fn print(line: &Line, out: &mut impl io::Write) -> anyhow::Result<()> {
    let rows = line.tokens.iter().map(|token| {
        vec![
            format!("{}..{}", token.start, token.end),
            token.detail.to_owned(),
            isolate(token.text),
            isolate(token.folded),
            isolate(token.class),
            token.value.clone().unwrap_or_default(),
        ]
    });
    write!(out, "{}", table(&rows.collect::<Vec<_>>()))?;
    writeln!(out)?;
    Ok(())
}
