//! Parses the command line, runs the commands, and prints their answers as tables or JSON lines.
//!
//! Each data command is written once, against a client: of a server, or of the engine in this process. Standard output holds
//! the answer and nothing else; messages about the work go to standard error.

mod access_tokens;
mod align;
mod analyze;
mod anywhere;
mod backup;
mod certs;
mod check;
mod cluster;
mod compact;
mod completions;
mod config;
mod demo;
mod export;
mod extract;
mod filter;
mod found;
mod help;
mod import;
mod input;
mod job;
mod lines;
mod links;
mod log;
mod lookup;
mod man;
mod mcp;
mod memories;
mod near_misses;
mod node;
mod node_tokens;
mod operations;
mod outcome;
mod output_file;
mod penalties;
mod place;
mod restore;
mod salvage;
mod search;
mod serve;
mod split;
mod tokens;
mod train;
mod unit_edits;
mod unit_file;
mod unit_table;
mod units;
mod values;
mod verify;
mod visit;
mod watch;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::terminal;

use log::{Log, start_log};
use outcome::Outcome;

/// Translation memory for Arabic and English: stores translations, finds them again, and says why they fit.
#[derive(Debug, Parser)]
#[command(name = "dhakira", version, max_term_width = 100)]
#[command(after_help = "New here? `dhakira demo` shows everything in half a minute.\n\n\
    Exit codes: 0 done, 1 failed, 2 bad usage, 3 done, but some units of the input were rejected, 130 stopped by \
    Ctrl-C.")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// More messages on standard error; twice for even more.
    #[arg(short, long, global = true, action = clap::ArgAction::Count, display_order = 998)]
    verbose: u8,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the memories of a data directory over gRPC.
    Serve(serve::Serve),
    /// Create, migrate and watch a cluster: several servers over one PostgreSQL.
    #[command(subcommand)]
    Cluster(cluster::Cluster),
    /// Show the settings of a server, and where each comes from.
    Config(config::Config),
    /// Show a tour: a sample memory, a server, ten lookups.
    Demo(demo::Demo),
    /// Read translations from files of any exchange format into a memory.
    Import(import::Import),
    /// Write a memory as TMX, TSV, CSV, JSON lines or XLIFF.
    Export(export::Export),
    /// Write every unit that matches any segment of some files: a project memory for other tools.
    Extract(extract::Extract),
    /// Find stored translations for segments, one a line on standard input.
    Lookup(lookup::Lookup),
    /// Serve an AI client over standard input and output, by the Model Context Protocol.
    Mcp(mcp::Mcp),
    /// Find the units in which an expression occurs: a concordance.
    Search(search::Search),
    /// Count words and segments of files by what the memories have for them.
    Analyze(analyze::Analyze),
    /// Align the sentences of a document with those of its translation.
    Align(align::Align),
    /// Link the words of sentence pairs: `0-0 1-2 …`.
    Links(links::Links),
    /// Train the lexicon of a memory, which links words.
    Train(train::Train),
    /// List the units of a memory that are suspect.
    Check(check::Check),
    /// Split text into sentences, one a line.
    Split(split::Split),
    /// Show the tokens of segments: what a lookup compares.
    Tokens(tokens::Tokens),
    /// Create, list and revoke the access tokens of a server.
    #[command(subcommand)]
    AccessTokens(access_tokens::AccessTokens),
    /// Make certificates for trying out TLS.
    #[command(subcommand)]
    Certs(certs::Certs),
    /// List, create, change and delete memories.
    Memories(memories::Memories),
    /// List, show, add, edit, roll back and delete units.
    Units(units::Units),
    /// Show the changes of units as they happen on a server.
    Watch(watch::Watch),
    /// Start long work on a server, list it, watch it, cancel it, and show its result.
    Operations(operations::Operations),
    /// Save all memories into a backup directory: everything the first time, then what is new.
    Backup(backup::Backup),
    /// Create a data directory from a backup, as of any commit or moment.
    Restore(restore::Restore),
    /// Check a store or a backup for consistency.
    Verify(verify::Verify),
    /// Free disk space, and truncate the commit log.
    Compact(compact::Compact),
    /// Save the units of a damaged store that cannot be opened.
    Salvage(salvage::Salvage),
    /// Print the completion script of a shell.
    Completions(completions::Completions),
    /// Print the manual page, or write one for each command.
    Man(man::Man),
    /// Measure import and lookup, with every figure by name.
    Bench(crate::bench::Bench),
}

/// The program with all commands and their help.
fn program() -> clap::Command {
    help::complete(Arguments::command())
}

/// Runs the program on the arguments of this process.
pub fn main() -> ExitCode {
    let arguments = anywhere::behind_the_command(&program(), std::env::args_os());
    let parsed = program().try_get_matches_from(arguments).and_then(|matches| {
        Arguments::from_arg_matches(&matches).map_err(|error| error.format(&mut program()))
    });
    let arguments = match parsed {
        Ok(arguments) => arguments,
        Err(error) => return help::refuse(&error),
    };
    let log = match &arguments.command {
        Command::Serve(command) => command.log(),
        _ => Log::default(),
    };
    start_log(arguments.verbose, log);
    if matches!(arguments.command, Command::Import(_)) {
        // A bulk job yields to a server on the same machine.
        crate::engine::lower_priority();
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            note!("dhakira: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(near_misses::with_suggestions(run(arguments.command)));
    let result = result.and_then(|outcome| terminal::finish().map(|()| outcome));
    // Abandoned work must not delay the exit.
    runtime.shutdown_background();
    match result {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::DoneWithRejects) => ExitCode::from(3),
        Ok(Outcome::Interrupted) => ExitCode::from(outcome::INTERRUPTED),
        Err(error) if terminal::is_closed(&error) => ExitCode::SUCCESS,
        Err(error) => {
            note!("dhakira: {}", outcome::message(&error));
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<Outcome> {
    match command {
        Command::Serve(command) => command.run().await,
        Command::Cluster(command) => command.run().await,
        Command::Config(command) => command.run(),
        Command::Demo(command) => command.run().await,
        Command::Import(command) => command.run().await,
        Command::Export(command) => command.run().await,
        Command::Extract(command) => command.run().await,
        Command::Lookup(command) => command.run().await,
        Command::Mcp(command) => command.run().await,
        Command::Search(command) => command.run().await,
        Command::Analyze(command) => command.run().await,
        Command::Align(command) => command.run().await,
        Command::Links(command) => command.run().await,
        Command::Train(command) => command.run().await,
        Command::Check(command) => command.run().await,
        Command::Split(command) => command.run(),
        Command::Tokens(command) => command.run(),
        Command::AccessTokens(command) => command.run(),
        Command::Certs(command) => command.run(),
        Command::Memories(command) => command.run().await,
        Command::Units(command) => command.run().await,
        Command::Watch(command) => command.run().await,
        Command::Operations(command) => command.run().await,
        Command::Backup(command) => command.run().await,
        Command::Restore(command) => command.run().await,
        Command::Verify(command) => command.run().await,
        Command::Compact(command) => command.run().await,
        Command::Salvage(command) => command.run(),
        Command::Completions(command) => command.run(program()),
        Command::Man(command) => command.run(program()),
        Command::Bench(command) => command.run().await.map(|()| Outcome::Done),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks at every option of a command and of those below it.
    fn each_option(command: &clap::Command, look: &mut dyn FnMut(&clap::Command, &clap::Arg)) {
        for argument in command.get_arguments() {
            look(command, argument);
        }
        for below in command.get_subcommands() {
            each_option(below, look);
        }
    }

    #[test]
    fn options_stand_under_their_headings() {
        let with_server = ["token", "token_file", "ca_file", "client_cert", "client_key"];
        let some_units = [
            "documents",
            "other_documents",
            "authors",
            "other_authors",
            "changed_from",
            "changed_before",
            "created_from",
            "created_before",
            "attribute",
            "not_attribute",
            "source_contains",
            "source_excludes",
            "target_contains",
            "target_excludes",
            "query",
        ];
        let mut seen = 0;
        let mut command = program();
        command.build();
        each_option(&command, &mut |command, argument| {
            let heading = argument.get_help_heading();
            let name = argument.get_id().as_str();
            let takes_place = !argument.is_positional();
            let takes = |name: &str| command.get_arguments().any(|it| it.get_id() == name);
            let (on_memories, writes_file) = (takes("server"), takes("output"));
            let command = command.get_name();
            let expected = if with_server.contains(&name) && takes_place {
                Some("With --server")
            } else if some_units.contains(&name) && command != "bench" {
                Some(filter::SOME_UNITS)
            } else if on_memories && ["data", "server", "accept_data_loss"].contains(&name) {
                Some("Connection")
            } else if ["json", "output", "rejects", "verdicts"].contains(&name)
                || name == "force" && writes_file
            {
                Some("Output")
            } else if name.starts_with("facade.") {
                Some(config::FACADES_HEADING)
            } else {
                None
            };
            seen += usize::from(expected.is_some());
            assert_eq!(heading, expected, "{command}: {name}");
        });
        assert!(seen > 150, "the names of options have changed: {seen}");
    }

    fn moved(line: &str) -> String {
        let arguments = line.split(' ').map(Into::into);
        let moved = anywhere::behind_the_command(&program(), arguments).into_iter();
        moved.map(|it| it.into_string().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn where_the_memories_are_can_be_said_first() {
        for (line, expected) in [
            ("dhakira --data d lookup -m x y", "dhakira lookup --data d -m x y"),
            ("dhakira -v --server=u memories show m", "dhakira -v memories show --server=u m"),
            (
                "dhakira --server u --token t units --memory m list",
                "dhakira units --memory m list --server u --token t",
            ),
            (
                "dhakira units --data d --memory m list --limit 2",
                "dhakira units --memory m list --data d --limit 2",
            ),
            ("dhakira access-tokens --data d list", "dhakira access-tokens list --data d"),
            ("dhakira --accept-data-loss verify", "dhakira verify --accept-data-loss"),
            ("dhakira lookup --data d --memory m", "dhakira lookup --data d --memory m"),
            ("dhakira --data d", "dhakira --data d"),
            ("dhakira nonsense --data d", "dhakira nonsense --data d"),
            ("dhakira memories", "dhakira memories"),
        ] {
            assert_eq!(moved(line), expected, "{line}");
        }
    }

    #[test]
    fn commands_that_print_results_print_them_as_json() {
        // They serve, explain, or print what has a form of its own.
        let without = ["serve", "demo", "mcp", "completions", "man", "bench"];
        let mut command = program();
        command.build();
        let mut leaves: Vec<&clap::Command> = command.get_subcommands().collect();
        let mut seen = 0;
        while let Some(command) = leaves.pop() {
            let name = command.get_name();
            if without.contains(&name) || name == "help" {
                continue;
            }
            let below = command.get_subcommands().filter(|it| it.get_name() != "help");
            let before = leaves.len();
            leaves.extend(below);
            let is_leaf = leaves.len() == before || name == "tokens";
            let has_json = command.get_arguments().any(|it| it.get_id() == "json");
            assert!(!is_leaf || has_json, "{name}");
            seen += usize::from(is_leaf);
        }
        assert!(seen > 40, "{seen}");
    }

    /// The words of a line as a shell splits them, up to where it redirects.
    fn words(line: &str) -> Vec<String> {
        let mut words = Vec::new();
        for (number, part) in line.split('\'').enumerate() {
            if number % 2 == 1 {
                words.push(part.to_owned());
            } else {
                words.extend(part.split_whitespace().map(str::to_owned));
            }
        }
        let end = words.iter().position(|word| ["<", ">", "|", "#"].contains(&word.as_str()));
        words.truncate(end.unwrap_or(words.len()));
        words
    }

    /// The examples at the end of the help of each command, with the path of the command.
    fn examples(command: &clap::Command, found: &mut Vec<(String, Vec<String>)>) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let lines = help.lines().filter_map(|line| line.strip_prefix("  "));
        let lines = lines.filter_map(|line| line.rfind("dhakira ").map(|at| line[at..].to_owned()));
        found.push((
            command.get_bin_name().unwrap_or(command.get_name()).to_owned(),
            lines.collect(),
        ));
        for below in command.get_subcommands().filter(|it| it.get_name() != "help") {
            examples(below, found);
        }
    }

    #[test]
    fn every_command_has_examples_that_it_takes() {
        let mut command = program();
        command.build();
        let (mut found, mut wrong) = (Vec::new(), Vec::new());
        examples(&command, &mut found);
        let without = ["dhakira", "dhakira bench ", "dhakira tokens ", "dhakira operations "];
        for (path, lines) in &found {
            let needs_none = without.iter().any(|it| path == it.trim_end() || path.starts_with(it));
            if lines.is_empty() && (!needs_none || path == "dhakira tokens") {
                wrong.push(format!("{path} has no examples"));
            }
            for line in lines.iter().filter(|_| path != "dhakira") {
                if !line.starts_with(path.as_str()) {
                    wrong.push(format!("{path}: {line}"));
                }
                if let Err(error) = program().try_get_matches_from(words(line)) {
                    wrong.push(format!("{line}\n{error}"));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert!(found.iter().map(|(_, lines)| lines.len()).sum::<usize>() > 60);
    }
}
