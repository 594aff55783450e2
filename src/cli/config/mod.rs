//! The settings of a server: each from a flag, the environment, a file, or its default.

mod facades;
mod settings;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use serde::Serialize;

use crate::facades::{FacadeSettings, FacadeTable};
use crate::gateway::Origins;
use crate::server::Limits;
use crate::store::StoreUrl;

use super::access_tokens::tokens_path;
use super::near_misses::nearest;
use super::outcome::Outcome;
use crate::terminal::{json_line, table};
#[cfg(test)]
pub(super) use settings::FACADES_HEADING;
use settings::{Kind, SETTINGS, Setting};

/// The settings that are given as flags, and the file that holds others.
#[derive(Debug, Clone, Default)]
pub(super) struct Flags {
    given: BTreeMap<&'static str, String>,
    file: Option<PathBuf>,
}

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        let file = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .env("DHAKIRA_CONFIG")
            .help("TOML file with these settings: keys as the flags, with _ in place of -");
        command.arg(file).args(SETTINGS.iter().map(Setting::argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.file = matches.get_one::<PathBuf>("config").cloned();
        for setting in SETTINGS.iter() {
            if let Some(value) = matches.get_one::<String>(setting.key) {
                self.given.insert(setting.key, value.clone());
            }
        }
        Ok(())
    }
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Origin {
    Default,
    File(PathBuf),
    Environment(String),
    Flag(String),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => out.write_str("default"),
            Self::File(path) => write!(out, "file {}", path.display()),
            Self::Environment(name) => write!(out, "env {name}"),
            Self::Flag(name) => write!(out, "flag --{name}"),
        }
    }
}

struct Value {
    setting: &'static Setting,
    text: String,
    origin: Origin,
}

impl Value {
    fn parse<T: FromStr>(&self, what: &str) -> anyhow::Result<T> {
        self.text.parse().map_err(|_| self.wrong(what))
    }

    fn wrong(&self, what: &str) -> anyhow::Error {
        anyhow::anyhow!("{} ({}): '{}' is not {what}", self.setting.key, self.origin, self.text)
    }

    fn fault(&self, fault: &str) -> anyhow::Error {
        anyhow::anyhow!("{} ({}): {fault}", self.setting.key, self.origin)
    }

    /// The text as it may be shown.
    fn shown(&self) -> String {
        match self.text.parse::<StoreUrl>() {
            Ok(url) if self.setting.kind == Kind::Database => url.to_string(),
            _ => self.text.clone(),
        }
    }

    /// `None` for no limit.
    fn days(&self) -> anyhow::Result<Option<Duration>> {
        if self.text == "all" {
            return Ok(None);
        }
        let days: u32 = self.parse("a number of days, or `all`")?;
        Ok(Some(Duration::from_secs(u64::from(days) * 24 * 3_600)))
    }

    /// Checks the text by its kind.
    fn check(&self) -> anyhow::Result<()> {
        if self.text.is_empty() && self.setting.default.is_empty() {
            return Ok(());
        }
        match self.setting.kind {
            Kind::Path if self.text.is_empty() => Err(self.wrong("a path")),
            Kind::Path | Kind::Text => Ok(()),
            // The text may hold a password.
            Kind::Database => self
                .text
                .parse::<StoreUrl>()
                .map(drop)
                .map_err(|error| self.fault(&error.to_string())),
            Kind::Points => facades::points(&self.text).map(drop).map_err(|what| self.wrong(what)),
            Kind::Memories => facades::memories(&self.text).map(drop).map_err(|it| self.fault(&it)),
            Kind::Penalties => {
                facades::penalties(&self.text).map(drop).map_err(|it| self.fault(&it))
            }
            Kind::Keys => facades::keys(&self.text).map(drop).map_err(|it| self.fault(&it)),
            Kind::Address => self
                .parse::<SocketAddr>("an address and port such as 127.0.0.1:50051 or [::1]:50051")
                .map(drop),
            Kind::Switch => self.parse::<bool>("true or false").map(drop),
            Kind::Number(least) => {
                let what = format!("a number of at least {least}");
                let number: u64 = self.parse(&what)?;
                if number < least { Err(self.wrong(&what)) } else { Ok(()) }
            }
            Kind::Origins => self.text.parse::<Origins>().map(drop).map_err(|error| {
                anyhow::anyhow!("{} ({}): {error}", self.setting.key, self.origin)
            }),
            Kind::Days => self.days().map(drop),
            Kind::Word(words) if words.contains(&self.text.as_str()) => Ok(()),
            Kind::Word(words) => Err(self.wrong(&words.join(" or "))),
        }
    }
}

/// Every setting with its value and its origin.
pub(super) struct Settings(Vec<Value>);

impl Settings {
    /// Flags take precedence over the environment, that over the file, that over defaults.
    pub(super) fn resolve(flags: &Flags) -> anyhow::Result<Self> {
        let of_file = flags.file.as_deref().map(read_file).transpose()?.unwrap_or_default();
        let value = |setting: &'static Setting| {
            let (text, origin) = if let Some(text) = flags.given.get(setting.key) {
                (text.clone(), Origin::Flag(setting.flag()))
            } else if let Ok(text) = std::env::var(setting.variable()) {
                (text, Origin::Environment(setting.variable()))
            } else if let (Some(text), Some(file)) = (of_file.get(setting.key), &flags.file) {
                (text.clone(), Origin::File(file.clone()))
            } else {
                (setting.default.clone(), Origin::Default)
            };
            let value = Value { setting, text, origin };
            value.check()?;
            Ok(value)
        };
        let values: anyhow::Result<Vec<Value>> = SETTINGS.iter().map(value).collect();
        values.map(Self)
    }

    fn value(&self, key: &str) -> anyhow::Result<&Value> {
        let found = self.0.iter().find(|value| value.setting.key == key);
        found.with_context(|| format!("there is no setting '{key}'"))
    }

    /// A setting that may be unset.
    pub(super) fn given<T: FromStr>(&self, key: &str) -> anyhow::Result<Option<T>> {
        let value = self.value(key)?;
        if value.text.is_empty() { Ok(None) } else { value.parse("a valid value").map(Some) }
    }

    /// A setting that has a default.
    pub(super) fn get<T: FromStr>(&self, key: &str) -> anyhow::Result<T> {
        self.value(key)?.parse("a valid value")
    }

    /// How long commits stay in the log; `None` for ever.
    pub(super) fn keep_log(&self) -> anyhow::Result<Option<Duration>> {
        self.value("keep_log_days")?.days()
    }

    /// The path of the token file.
    pub(super) fn tokens_file(&self) -> anyhow::Result<PathBuf> {
        let data: PathBuf = self.get("data")?;
        Ok(self.given("tokens_file")?.unwrap_or_else(|| tokens_path(&data)))
    }

    /// How much the server handles at a time.
    pub(super) fn limits(&self) -> anyhow::Result<Limits> {
        let seconds = |key| anyhow::Ok(Duration::from_secs(self.get(key)?));
        Ok(Limits {
            calls: self.get("calls_max")?,
            client_calls: self.get("client_calls_max")?,
            heavy_calls: self.get("heavy_calls_max")?,
            client_heavy_calls: self.get("client_heavy_calls_max")?,
            connections: self.get("connections_max")?,
            peer_connections: self.get("peer_connections_max")?,
            message_bytes: self.get::<usize>("message_memory_mib")?.saturating_mul(1024 * 1024),
            call_time: seconds("call_seconds_max")?,
            stream_time: seconds("stream_seconds_max")?,
            anonymous_calls: self.get("anonymous_calls_max")?,
            anonymous_connections: self.get("anonymous_connections_max")?,
            handshake_time: seconds("handshake_seconds_max")?,
            message_time: seconds("message_seconds_max")?,
            idle_time: seconds("idle_connection_seconds")?,
            anonymous_idle_time: seconds("anonymous_idle_seconds")?,
            stalled_time: seconds("stalled_reader_seconds")?,
            queue_time: Duration::from_millis(self.get("queue_millis_max")?),
        })
    }
}

impl Settings {
    /// How the facades use the memories.
    pub(super) fn facades(&self) -> anyhow::Result<FacadeTable> {
        Ok(FacadeTable {
            tmserver: self.facade("tmserver")?,
            mymemory: self.facade("mymemory")?,
            mymemory_keys: self.parsed("facade.mymemory.keys", facades::keys)?,
            t5memory: self.facade("t5memory")?,
            mcp: self.facade("mcp")?,
        })
    }

    fn facade(&self, name: &str) -> anyhow::Result<FacadeSettings> {
        let key = |key: &str| format!("facade.{name}.{key}");
        Ok(FacadeSettings {
            enabled: self.get(&key("enabled"))?,
            memories: self.parsed(&key("memories"), facades::memories)?,
            min_score: self
                .parsed(&key("min_score"), |text| facades::points(text).map_err(str::to_owned))?,
            penalty_rules: self.parsed(&key("penalties"), facades::penalties)?,
            writes: self.get(&key("writes"))?,
        })
    }

    fn parsed<T>(&self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> anyhow::Result<T> {
        let value = self.value(key)?;
        parse(&value.text).map_err(|fault| value.fault(&fault))
    }
}

/// The settings of a file, as text.
fn read_file(path: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let place = || format!("the settings in {}", path.display());
    let text = std::fs::read_to_string(path).with_context(place)?;
    let parsed: toml::Table = text.parse().with_context(place)?;
    let mut values = BTreeMap::new();
    read_table("", parsed, &mut values).with_context(place)?;
    Ok(values)
}

/// The settings of a table whose keys begin with a prefix.
fn read_table(
    prefix: &str,
    table: toml::Table,
    values: &mut BTreeMap<String, String>,
) -> anyhow::Result<()> {
    for (key, value) in table {
        let key = format!("{prefix}{key}");
        let is_table = SETTINGS.iter().any(|it| it.key.starts_with(&format!("{key}.")));
        if let (true, toml::Value::Table(table)) = (is_table, &value) {
            read_table(&format!("{key}."), table.clone(), values)?;
            continue;
        }
        let Some(setting) = SETTINGS.iter().find(|setting| setting.key == key) else {
            let known = SETTINGS.iter().map(|setting| setting.key);
            let known: Vec<&str> = known.filter(|known| known.starts_with(prefix)).collect();
            if let Some(near) = nearest(&key, known.iter().copied()) {
                bail!("there is no setting '{key}'; did you mean '{near}'?");
            }
            bail!("there is no setting '{key}'; there are {}", known.join(", "));
        };
        let text = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Float(number) if setting.kind == Kind::Points => number.to_string(),
            toml::Value::Boolean(switch) => switch.to_string(),
            toml::Value::Array(items) if setting.kind.is_list() => {
                let texts: Option<Vec<&str>> = items.iter().map(toml::Value::as_str).collect();
                texts.with_context(|| format!("'{key}' is a list of texts"))?.join(",")
            }
            other => bail!("'{key}' is of type {}, which it cannot have", other.type_str()),
        };
        values.insert(key, text);
    }
    Ok(())
}

/// Show the settings a server would run with, and where each comes from.
#[derive(Debug, clap::Args)]
pub(super) struct Config {
    #[command(flatten)]
    flags: Flags,
    /// One JSON object a setting, one a line.
    #[arg(long)]
    json: bool,
    /// Describe the settings instead, as a table in Markdown.
    #[arg(long, conflicts_with = "json")]
    describe: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    key: &'a str,
    value: String,
    origin: String,
}

impl Config {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        if self.describe {
            show!("{}", description())?;
            return Ok(Outcome::Done);
        }
        let settings = Settings::resolve(&self.flags)?;
        let rows = settings.0.iter().map(|value| {
            let origin = value.origin.to_string();
            Line { key: value.setting.key, value: value.shown(), origin }
        });
        if self.json {
            rows.into_iter().try_for_each(|row| json_line(&row))?;
        } else {
            let rows = rows.map(|row| {
                let value = if row.value.is_empty() { "-".to_owned() } else { row.value };
                vec![row.key.to_owned(), value, row.origin]
            });
            show!("{}", table(&rows.collect::<Vec<_>>()))?;
        }
        Ok(Outcome::Done)
    }
}

/// The table for people, in Markdown.
fn description() -> String {
    let mut text = String::from("| key | default | meaning |\n|---|---|---|\n");
    for setting in SETTINGS.iter() {
        let default = if setting.default.is_empty() {
            String::new()
        } else {
            format!("`{}`", setting.default)
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| `{}` | {default} | {} |", setting.key, setting.help);
    }
    text
}
