//! May everything that is linked be linked? `deny.toml` by a part of cargo-deny's rules that need no network: licences of what is
//! built on this platform, sources, bans. `cargo deny check` says the rest where it is installed.

use std::fs;
use std::process::Command;

use serde_json::Value;

/// The quoted words of a list in `deny.toml`.
fn allowed() -> Vec<String> {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/deny.toml")).unwrap();
    let list = text.split_once("allow = [").unwrap().1.split_once(']').unwrap().0;
    list.split(',').map(|word| word.trim().trim_matches('"').to_owned()).collect()
}

/// Whether an SPDX expression can be met: `OR` (or the old `/`) by one side, `AND` by all.
fn is_met(expression: &str, allowed: &[String]) -> bool {
    /// Splits at a word that stands outside of parentheses.
    fn split<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
        let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
        for (place, character) in text.char_indices() {
            match character {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ if depth == 0 && text[place..].starts_with(word) && place >= start => {
                    parts.push(&text[start..place]);
                    start = place + word.len();
                }
                _ => {}
            }
        }
        parts.push(&text[start..]);
        parts
    }
    let text = expression.trim();
    for (word, any) in [(" OR ", true), ("/", true), (" AND ", false)] {
        let parts = split(text, word);
        if parts.len() > 1 {
            let mut parts = parts.iter();
            return if any {
                parts.any(|it| is_met(it, allowed))
            } else {
                parts.all(|it| is_met(it, allowed))
            };
        }
    }
    match text.strip_prefix('(').and_then(|it| it.strip_suffix(')')) {
        Some(inner) => is_met(inner, allowed),
        None => allowed.iter().any(|it| it == text),
    }
}

#[test]
fn licences_and_sources_are_what_deny_toml_allows() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform"])
        .arg("x86_64-unknown-linux-gnu")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let allowed = allowed();
    assert!(!is_met("GPL-3.0", &allowed) && !is_met("MIT AND GPL-3.0", &allowed));
    assert!(is_met("(GPL-3.0 OR MIT) AND Apache-2.0", &allowed));
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 100);
    for package in packages {
        let name = package["name"].as_str().unwrap();
        let licence = package["license"].as_str().unwrap_or_default();
        assert!(is_met(licence, &allowed), "{name} is under '{licence}'");
        assert_ne!(name, "openssl", "no C TLS stack");
        let source = package["source"].as_str();
        let is_ours = name == env!("CARGO_PKG_NAME");
        let from = "registry+https://github.com/rust-lang/crates.io-index";
        assert!(is_ours || source == Some(from), "{name} comes from {source:?}");
    }
}
