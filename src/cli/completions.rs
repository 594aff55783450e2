//! `dhakira completions`: prints the completion script of a shell.

use std::io::Write as _;

use clap::Args;
use clap_complete::Shell;

use super::outcome::Outcome;
use crate::terminal::stdout;

/// Print the script by which a shell completes commands, options and their values.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    dhakira completions bash > ~/.local/share/bash-completion/completions/dhakira\n  \
    dhakira completions zsh > \"${fpath[1]}/_dhakira\"\n  \
    dhakira completions fish > ~/.config/fish/completions/dhakira.fish")]
pub(super) struct Completions {
    /// The shell.
    shell: Shell,
}

impl Completions {
    /// Prints the script for the whole program.
    pub(super) fn run(self, mut program: clap::Command) -> anyhow::Result<Outcome> {
        let name = program.get_name().to_owned();
        // The generator panics when its output fails, which memory does not.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut program, name, &mut script);
        let mut out = stdout();
        out.write_all(&script)?;
        out.flush()?;
        Ok(Outcome::Done)
    }
}
