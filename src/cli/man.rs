//! `dhakira man`: prints the manual page, or writes one for each command.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use super::outcome::Outcome;
use crate::terminal::{counted, stdout};

/// Print the manual page of the program, or write a page for each command into a directory.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    dhakira man | man -l -\n  \
    dhakira man --output ~/.local/share/man/man1    # then `man dhakira-lookup`")]
pub(super) struct Man {
    /// Directory to write a page for each command to; created when missing.
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
}

impl Man {
    /// Prints or writes the pages of the whole program.
    pub(super) fn run(self, program: clap::Command) -> anyhow::Result<Outcome> {
        if let Some(directory) = self.output {
            write_all(program, &directory)?;
        } else {
            let mut page = Vec::new();
            clap_mangen::Man::new(program).render(&mut page)?;
            let mut out = stdout();
            out.write_all(&page)?;
            out.flush()?;
        }
        Ok(Outcome::Done)
    }
}

fn write_all(program: clap::Command, directory: &Path) -> anyhow::Result<()> {
    let doing = || format!("writing manual pages into {}", directory.display());
    std::fs::create_dir_all(directory).with_context(doing)?;
    // Each command has `help` below it, which is no page of its own.
    let mut program = program.disable_help_subcommand(true);
    program.build();
    let written = write(&program, directory).with_context(doing)?;
    note!("dhakira: wrote {} into {}", counted(written, "manual page"), directory.display());
    Ok(())
}

/// Writes the page of a command and of those below it, and returns their number.
fn write(command: &clap::Command, directory: &Path) -> std::io::Result<usize> {
    clap_mangen::Man::new(command.clone()).generate_to(directory)?;
    let below = command.get_subcommands().filter(|it| !it.is_hide_set());
    below.map(|it| write(it, directory)).sum::<std::io::Result<usize>>().map(|below| below + 1)
}
