//! The addresses of tmserver: `languages/`, `{source}/{target}/unit/{text}`, `{source}/{target}/store/{file}`, each also behind
//! `m/{memory}/`.

use crate::gateway::percent_decoded;
use crate::unit::{Lang, MemoryName};

use super::super::refusal::Refusal;

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// The memory that it names.
    pub(super) memory: Option<MemoryName>,
    pub(super) place: Place,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    Languages,
    /// A text of a pair; `None` when the path has none.
    Unit(Pair, Option<String>),
    /// A file of a pair.
    Store(Pair, String),
}

/// Two different languages.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) source: Lang,
    pub(super) target: Lang,
}

impl Address {
    /// Parses the path behind the prefix. A text may hold slashes, encoded or not.
    ///
    /// # Errors
    /// There is nothing at that path.
    pub(super) fn parse(path: &str) -> Result<Self, Refusal> {
        let (memory, path) = match split(path) {
            ("m", rest) => {
                let (name, rest) = split(rest);
                let name = decoded(name)?;
                let memory: MemoryName = name.parse().map_err(|_| nothing())?;
                (Some(memory), rest)
            }
            _ => (None, path),
        };
        let (source, rest) = split(path);
        if source == "languages" && matches!(rest, "" | "/") {
            return Ok(Self { memory, place: Place::Languages });
        }
        let (target, rest) = split(rest);
        let pair = Pair { source: language(source)?, target: language(target)? };
        if pair.source == pair.target {
            return Err(Refusal::not_found("source and target are one language"));
        }
        let (kind, rest) = split(rest);
        let text = decoded(rest.strip_prefix('/').unwrap_or(rest))?;
        let place = match (kind, text.is_empty()) {
            ("unit", is_empty) => Place::Unit(pair, (!is_empty).then_some(text)),
            ("store", false) => Place::Store(pair, text),
            _ => return Err(nothing()),
        };
        Ok(Self { memory, place })
    }
}

/// The first segment of a path, and what follows it, from its slash on. Slashes before it are skipped: clients join addresses and
/// paths with two.
fn split(path: &str) -> (&str, &str) {
    let path = path.trim_start_matches('/');
    path.split_at(path.find('/').unwrap_or(path.len()))
}

fn decoded(text: &str) -> Result<String, Refusal> {
    percent_decoded(text, false)
        .map_err(|fault| Refusal::bad_request(&format!("the path: {fault}")))
}

/// `ar`, `ar_SA`, `AR-sa`.
fn language(code: &str) -> Result<Lang, Refusal> {
    decoded(code)?.replace('_', "-").parse().map_err(|_| nothing())
}

fn nothing() -> Refusal {
    Refusal::not_found(
        "there is nothing here but languages/, {source}/{target}/unit/{text} and {source}/{target}/store/{file}",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(path: &str) -> (String, String, Option<String>) {
        match Address::parse(path).unwrap().place {
            Place::Unit(pair, text) => (pair.source.to_string(), pair.target.to_string(), text),
            other => panic!("{path}: {other:?}"),
        }
    }

    #[test]
    fn addresses_of_clients_are_read() {
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(unit("/ar/en/unit/a%2Fb"), ("ar".into(), "en".into(), text("a/b")));
        assert_eq!(unit("//ar_sa/EN-gb/unit/a/b"), ("ar-SA".into(), "en-GB".into(), text("a/b")));
        assert_eq!(unit("/ar/en/unit/"), ("ar".into(), "en".into(), None));
        assert_eq!(unit("/ar/en/unit//x"), ("ar".into(), "en".into(), text("/x")));
        assert_eq!(unit("/ar/en/unit/%D9%86%D8%B9%D9%85").2, text("\u{646}\u{639}\u{645}"));
        for path in ["/languages", "/languages/", "//languages/"] {
            assert_eq!(Address::parse(path).unwrap().place, Place::Languages);
        }
        let address = Address::parse("/m/news/ar/en/store/a%20b.po").unwrap();
        assert_eq!(address.memory, Some("news".parse().unwrap()));
        assert!(matches!(address.place, Place::Store(_, file) if file == "a b.po"));
    }

    #[test]
    fn other_addresses_are_refused() {
        for (path, code) in [
            ("", 404),
            ("/", 404),
            ("/ar", 404),
            ("/ar/en", 404),
            ("/ar/en/other/x", 404),
            ("/ar/en/store/", 404),
            ("/en/en/unit/x", 404),
            ("/a!/en/unit/x", 404),
            ("/m", 404),
            ("/m/%2E%2E/ar/en/unit/x", 404),
            ("/ar/en/unit/%", 400),
            ("/ar/en/unit/%FF", 400),
        ] {
            assert_eq!(Address::parse(path).unwrap_err().status, code, "{path}");
        }
    }
}
