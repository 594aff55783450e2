//! Keeps what tests measure, as `dhakira bench report --cluster` reads it.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

/// Puts the figures of a part into the file that `DHAKIRA_FIGURES_JSON` names, beside those of other parts; nothing without it.
pub(crate) fn keep(part: &str, command: &str, figures: &[(&str, f64)]) {
    let Some(file) = std::env::var_os("DHAKIRA_FIGURES_JSON") else { return };
    let mut record = match std::fs::read(&file) {
        Ok(text) => serde_json::from_slice(&text).unwrap(),
        Err(_) => here_and_now(),
    };
    record["commands"][part] = command.into();
    record["figures"][part] =
        figures.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    std::fs::write(file, serde_json::to_vec_pretty(&record).unwrap()).unwrap();
}

/// A record without figures: of which commit, when and on which machine.
fn here_and_now() -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let units = "tests/data/small.tsv";
    let mut command = Command::new(env!("CARGO_BIN_EXE_dhakira"));
    command.args(["bench", "all", "--json", "--only", "text", "--corpus", units]);
    let output = command.args(["--queries", units]).current_dir(root).output().unwrap();
    let mut record: Value = serde_json::from_slice(&output.stdout).unwrap();
    for parts in ["commands", "figures", "seconds", "skipped"] {
        record[parts] = json!({});
    }
    record
}
