//! `dhakira check`: lists the suspect units of a memory.

use clap::Args;
use serde::Serialize;

use crate::limits::SUSPECTS_MAX;
use crate::unit::MemoryName;

use super::outcome::Outcome;
use super::place::{MissingData, Place};
use crate::terminal::{Progress, counted, grouped, json_line, paragraph};

/// List the units of a memory that are probably misaligned, not translated, in the wrong language, or that lost numbers or
/// placeholders; worst first.
#[derive(Debug, Args)]
#[command(
    after_help = "Reasons: misaligned (the texts hardly correspond), wrong-language, untranslated (the \
    same on both sides), placeables (a placeholder, tag or address on one side only), numbers (a number or date on one side \
    only), length (one text is far too long). Suspicion is from 0 to 1; above 0.5 are the misaligned ones. Nothing is changed."
)]
pub(super) struct Check {
    #[command(flatten)]
    place: Place,
    /// The memory to check.
    #[arg(long, short, value_name = "NAME")]
    memory: MemoryName,
    /// Least suspicion of a unit that is listed, from 0 to 1.
    #[arg(long, value_name = "SUSPICION", default_value_t = 0.3)]
    min_suspicion: f64,
    /// Most units listed.
    #[arg(long, value_name = "UNITS", default_value_t = 1_000, value_parser = clap::value_parser!(i32).range(1..=SUSPECTS_MAX as i64))]
    max: i32,
    /// One JSON object a unit on standard output, nothing else there.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    unit: String,
    suspicion: f64,
    reasons: &'a [String],
    source: &'a str,
    target: &'a str,
}

impl Check {
    pub(super) async fn run(self) -> anyhow::Result<Outcome> {
        let mut client = self.place.client("check", MissingData::Refuse).await?;
        let bar = Progress::new();
        let least = Some(self.min_suspicion);
        let (suspects, checked) = client
            .check_units(&self.memory, least, self.max, &mut |doing, done| bar.show(doing, done))
            .await?;
        drop(bar);
        for suspect in &suspects {
            let (source, target) =
                (&suspect.unit.content.source.text, &suspect.unit.content.target.text);
            let unit = format!("{}/units/{}", self.memory.resource(), suspect.unit.id);
            if self.json {
                let (suspicion, reasons) = (suspect.suspicion, &suspect.reasons[..]);
                json_line(&Line { unit, suspicion, reasons, source, target })?;
            } else {
                say!("{:.2}  {}  {unit}", suspect.suspicion, suspect.reasons.join(", "))?;
                say!("      {}\n      {}", paragraph(source, 6), paragraph(target, 6))?;
            }
        }
        note!(
            "dhakira: {} of {} listed{}",
            grouped(suspects.len() as u64),
            counted(checked, "unit"),
            if i32::try_from(suspects.len()) == Ok(self.max) { "; --max lists more" } else { "" },
        );
        Ok(Outcome::Done)
    }
}
