//! The help of the program: examples at the end of each command, options that many commands have under headings.

use std::process::ExitCode;

use clap::builder::StyledStr;
use clap::{Arg, Command};

use crate::terminal::brief;

/// Options that say which memories a command works on.
const CONNECTION: [&str; 3] = ["data", "server", "accept_data_loss"];
/// Options that say what it prints and writes.
const OUTPUT: [&str; 5] = ["json", "output", "force", "rejects", "verdicts"];

/// The examples of each command, by its path. `mcp`, `completions` and `man` have theirs with what else they say.
const EXAMPLES: &[(&[&str], &[&str])] = &[
    (
        &["serve"],
        &[
            "dhakira serve",
            "dhakira serve --data /srv/tm --listen 0.0.0.0:50051 --tls-cert cert.pem --tls-key key.pem",
            "dhakira serve --store postgres://dhakira@db1,db2,db3/tm --data /var/lib/dhakira",
        ],
    ),
    (
        &["cluster"],
        &[
            "dhakira cluster init --store postgres://dhakira@db1,db2,db3/tm",
            "dhakira cluster status --store postgres://dhakira@db1,db2,db3/tm",
        ],
    ),
    (
        &["cluster", "init"],
        &[
            "dhakira cluster init --store postgres://dhakira@db1,db2,db3/tm --name agency",
            "dhakira cluster init --store postgres://dhakira@cluster.example.org/tm --durability engine",
        ],
    ),
    (
        &["cluster", "migrate"],
        &["dhakira cluster migrate --store postgres://dhakira@db1,db2,db3/tm"],
    ),
    (
        &["cluster", "status"],
        &["dhakira cluster status --store postgres://dhakira@db1,db2,db3/tm --json"],
    ),
    (&["cluster", "doctor"], &["dhakira cluster doctor --store postgres://dhakira@db1,db2,db3/tm"]),
    (&["config"], &["dhakira config", "dhakira config --config /etc/dhakira.toml"]),
    (&["demo"], &["dhakira demo", "dhakira demo --data ./tour"]),
    (
        &["import"],
        &[
            "dhakira import --memory mine memory.tmx",
            "dhakira import --memory mine --check=reject --rejects rejected.tmx folder/ more.xlsx",
            "dhakira import --memory news --format moses corpus.ar corpus.en",
            "xzcat big.tsv.xz | dhakira import --memory mine -",
            "dhakira import --memory mine memory.tmx --into postgres://dhakira@db1,db2,db3/tm",
        ],
    ),
    (
        &["export"],
        &[
            "dhakira export --memory mine --output mine.tmx.gz",
            "dhakira export --memory mine --format tsv --by-author anna",
        ],
    ),
    (
        &["extract"],
        &[
            "dhakira extract --memory mine job.xlf --output job.tmx",
            "dhakira extract --memory mine --memory old:5 text.txt --output tm/mine.tmx --force",
        ],
    ),
    (
        &["lookup"],
        &[
            "dhakira lookup --memory mine --file job.txt",
            "dhakira lookup --memory mine 'SEGMENT'",
            "dhakira lookup --memory mine --memory old:5 --min-score 60 < segments.txt",
            "dhakira lookup --memory mine --document --json < segments.txt",
        ],
    ),
    (
        &["search"],
        &[
            "dhakira search --memory mine --side target 'settings menu'",
            "dhakira search --memory mine --stems --all --json WORD",
        ],
    ),
    (
        &["analyze"],
        &[
            "dhakira analyze --memory mine job/a.xlf job/b.txt",
            "dhakira analyze --memory mine --format csv job/*.txt > analysis.csv",
        ],
    ),
    (
        &["align"],
        &[
            "dhakira align text.ar.txt text.en.txt",
            "dhakira align --memory mine --format html --output review.html text.ar.txt text.en.txt",
            "dhakira align --memory mine --store-in mine text.ar.txt text.en.txt",
        ],
    ),
    (&["links"], &["dhakira links --memory mine < pairs.txt"]),
    (&["train"], &["dhakira train --memory mine"]),
    (
        &["check"],
        &["dhakira check --memory mine", "dhakira check --memory mine --min-suspicion 0.5 --json"],
    ),
    (
        &["split"],
        &["dhakira split --lang ar text.txt", "dhakira split --lang en --wrapped < text.txt"],
    ),
    (
        &["tokens"],
        &["dhakira tokens --lang en 'Open 2 files'", "dhakira tokens --json < lines.txt"],
    ),
    (
        &["access-tokens"],
        &[
            "dhakira access-tokens create anna --grant admin:*",
            "dhakira access-tokens list",
            "dhakira access-tokens revoke anna",
        ],
    ),
    (
        &["access-tokens", "create"],
        &[
            "dhakira access-tokens create anna --grant admin:*",
            "dhakira access-tokens create tool --grant reader:news --grant translator:client-* --expires-in 90d",
        ],
    ),
    (&["access-tokens", "list"], &["dhakira access-tokens list --json"]),
    (&["access-tokens", "revoke"], &["dhakira access-tokens revoke anna"]),
    (&["certs"], &["dhakira certs create --host tm.example.org --output ./certs"]),
    (
        &["certs", "create"],
        &[
            "dhakira certs create --host tm.example.org --host 192.0.2.7 --output ./certs",
            "dhakira certs create --host localhost --output ./certs --days 30 --force",
        ],
    ),
    (
        &["memories"],
        &["dhakira memories", "dhakira memories create law --source-lang ar --target-lang en"],
    ),
    (&["memories", "list"], &["dhakira memories list --json"]),
    (&["memories", "show"], &["dhakira memories show mine --json"]),
    (
        &["memories", "create"],
        &["dhakira memories create law --target-lang fr --description 'Contracts since 2020'"],
    ),
    (
        &["memories", "update"],
        &[
            "dhakira memories update old --default-penalty 5",
            "dhakira memories update mine --penalty-rule machine-translation:10 --penalty-rule older-than=5y:2",
        ],
    ),
    (&["memories", "delete"], &["dhakira memories delete old --force"]),
    (
        &["units"],
        &[
            "dhakira units --memory mine list --by-author anna --order-by changed --descending",
            "dhakira units --memory mine edit 42 --target 'Open the menu'",
            "dhakira units --memory mine delete --in-document old.xlf --yes",
        ],
    ),
    (
        &["units", "list"],
        &["dhakira units list --memory mine --source-contains WORD --limit 100 --json"],
    ),
    (&["units", "get"], &["dhakira units get --memory mine 42 43"]),
    (&["units", "add"], &["dhakira units add --memory mine 'SOURCE' 'TARGET' --set-author anna"]),
    (
        &["units", "edit"],
        &[
            "dhakira units edit --memory mine 42 --target 'Open the menu' --set-attribute client=acme",
        ],
    ),
    (&["units", "history"], &["dhakira units history --memory mine 42"]),
    (&["units", "rollback"], &["dhakira units rollback --memory mine 42 --revision 1"]),
    (
        &["units", "delete"],
        &[
            "dhakira units delete --memory mine 42 43",
            "dhakira units delete --memory mine --by-author MT --changed-before 2024-01-01 --yes",
        ],
    ),
    (
        &["units", "update"],
        &[
            "dhakira units update --memory mine --in-document a.xlf --set-attribute client=acme --yes",
        ],
    ),
    (
        &["watch"],
        &[
            "dhakira watch --server http://127.0.0.1:50051 --memory mine",
            "dhakira watch --server http://127.0.0.1:50051 --after 0 --kind deleted --json",
        ],
    ),
    (
        &["operations"],
        &[
            "dhakira operations start-train --memory news --server http://127.0.0.1:50051",
            "dhakira operations list --server http://127.0.0.1:50051",
        ],
    ),
    (
        &["backup"],
        &[
            "dhakira backup /backups/tm",
            "dhakira backup /backups/tm --server http://127.0.0.1:50051",
        ],
    ),
    (
        &["restore"],
        &[
            "dhakira restore /backups/tm --data ./restored",
            "dhakira restore /backups/tm --data ./restored --to-time 2024-05-01T12:00:00Z",
            "dhakira restore /backups/tm --into postgres://dhakira@db1,db2,db3/tm",
        ],
    ),
    (&["verify"], &["dhakira verify", "dhakira verify --backup /backups/tm"]),
    (&["compact"], &["dhakira compact", "dhakira compact --keep-log-days 7"]),
    (&["salvage"], &["dhakira salvage ./dhakira-data --output saved.jsonl"]),
    (
        &["bench"],
        &[
            "dhakira bench import memory.tmx",
            "dhakira bench search --corpus memory.tmx --queries queries.txt",
        ],
    ),
];

/// Shows what is wrong with a command line, or the help that it asks for, and gives the exit code.
pub(super) fn refuse(error: &clap::Error) -> ExitCode {
    let code = if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
    let message = error.to_string();
    // What is short is shown by clap, in its colours.
    if !error.use_stderr() || brief(&message) == message {
        // Nobody reads it: there is nothing to say that to.
        let _ = error.print();
    } else {
        note!("{}", message.trim_end());
    }
    code
}

/// The program with examples and headings in its help.
pub(super) fn complete(program: Command) -> Command {
    let program = under_headings(program);
    EXAMPLES.iter().fold(program, |program, (path, lines)| with_examples(program, path, lines))
}

fn with_examples(command: Command, path: &[&str], lines: &[&str]) -> Command {
    if let Some((name, below)) = path.split_first() {
        return command.mut_subcommand(name, |it| with_examples(it, below, lines));
    }
    let before = command.get_after_help().map(StyledStr::to_string);
    let before = before.map_or_else(String::new, |text| format!("{text}\n\n"));
    let examples = lines.join("\n  ");
    command.after_help(format!("{before}Examples:\n  {examples}"))
}

/// Puts the options that many commands have under their headings.
fn under_headings(command: Command) -> Command {
    // Elsewhere `--data` is something else: what a server serves, where a backup goes.
    let takes = |name: &str| command.get_arguments().any(|it| it.get_id() == name);
    let (is_on_memories, writes_file) = (takes("server"), takes("output"));
    let place = |option: Arg| {
        let name = option.get_id().as_str();
        if OUTPUT.contains(&name) && (name != "force" || writes_file) {
            option.help_heading("Output")
        } else if is_on_memories && CONNECTION.contains(&name) {
            option.help_heading("Connection")
        } else {
            option
        }
    };
    command.mut_args(place).mut_subcommands(under_headings)
}
