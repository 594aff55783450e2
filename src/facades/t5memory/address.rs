//! The addresses of t5memory: `/`, `/{memory}`, `/{memory}/{call}`.

use crate::gateway::percent_decoded;
use crate::unit::MemoryName;

use super::fault::Fault;

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// All memories.
    Memories,
    /// A call of a memory; empty for the memory itself.
    Memory(MemoryName, String),
}

impl Address {
    pub(super) fn parse(path: &str) -> Result<Self, Fault> {
        let path = path.trim_matches('/');
        if path.is_empty() {
            return Ok(Self::Memories);
        }
        let (name, call) = path.split_once('/').unwrap_or((path, ""));
        let name = percent_decoded(name, true)
            .map_err(|fault| Fault::bad_request(&format!("the path: {fault}")))?;
        Ok(Self::Memory(memory_name(&name)?, call.trim_matches('/').to_owned()))
    }
}

/// The memory that a name of t5memory stands for: spaces, which those names may have, are `_`.
pub(super) fn memory_name(name: &str) -> Result<MemoryName, Fault> {
    let wrong = |error: crate::unit::ValidationError| {
        Fault::bad_request(&format!("{error}; spaces are taken for '_'"))
    };
    name.trim().replace(' ', "_").parse().map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let memory =
            |name: &str, call: &str| Address::Memory(name.parse().unwrap(), call.to_owned());
        for (path, expected) in [
            ("", Address::Memories),
            ("/", Address::Memories),
            ("/law", memory("law", "")),
            ("/law/", memory("law", "")),
            ("/ID7-Legal+texts/fuzzysearch", memory("ID7-Legal_texts", "fuzzysearch")),
            ("/ID7-Legal%20texts/status/", memory("ID7-Legal_texts", "status")),
        ] {
            assert_eq!(Address::parse(path).unwrap(), expected, "{path}");
        }
        for path in ["/%D8%A7/status", "/%2E%2E/status", "/a%00b", "/%", "/%FF", "/-x", "/a%2Bb"] {
            assert_eq!(Address::parse(path).unwrap_err().status(), 400, "{path}");
        }
    }
}
