//! Lets the options that say where the memories are stand anywhere on the command line, also in front of the command.

use std::ffi::OsString;

use clap::{ArgAction, Command};

/// Those options, by their long names.
const MOVED: [&str; 8] = [
    "data",
    "server",
    "token",
    "token-file",
    "ca-file",
    "client-cert",
    "client-key",
    "accept-data-loss",
];
/// The one among them without a value.
const WITHOUT_VALUE: &str = "accept-data-loss";

/// The arguments with those options behind the command, and the command below it, that they belong to.
pub(super) fn behind_the_command(
    program: &Command,
    arguments: impl IntoIterator<Item = OsString>,
) -> Vec<OsString> {
    let mut rest = arguments.into_iter();
    let mut kept: Vec<OsString> = rest.next().into_iter().collect();
    let mut moved = Vec::new();
    let mut command = program;
    while command.has_subcommands() {
        let Some(argument) = rest.next() else { break };
        let text = argument.to_string_lossy().into_owned();
        let Some(option) = text.strip_prefix("--").filter(|option| !option.is_empty()) else {
            let below = command.find_subcommand(&text);
            kept.push(argument);
            match below {
                Some(below) => command = below,
                // A short option, or something that is refused in its place.
                None if text.starts_with('-') => {}
                None => break,
            }
            continue;
        };
        let (name, has_value) =
            option.split_once('=').map_or((option, false), |(it, _)| (it, true));
        let is_moved = MOVED.contains(&name);
        let into = if is_moved { &mut moved } else { &mut kept };
        into.push(argument);
        let of_command = command.get_arguments().find(|it| it.get_long() == Some(name));
        let takes_value = match of_command {
            Some(option) => matches!(option.get_action(), ArgAction::Set | ArgAction::Append),
            None => is_moved && name != WITHOUT_VALUE,
        };
        if takes_value && !has_value {
            into.extend(rest.next());
        }
    }
    kept.extend(moved);
    kept.extend(rest);
    kept
}
