//! The layers of `src/lib.rs`: who may import whom, and what is confined to one file.

use std::fs;
use std::path::{Path, PathBuf};

/// Each layer with the layers that it may use.
const ALLOWED: [(&str, &[&str]); 16] = [
    ("unit", &["limits"]),
    ("limits", &[]),
    ("validate", &["unit", "limits"]),
    ("text", &["unit", "limits"]),
    ("matching", &["unit", "limits", "text"]),
    ("alignment", &["unit", "limits", "text"]),
    ("formats", &["unit", "limits", "validate"]),
    ("store", &["unit", "limits"]),
    (
        "engine",
        &["unit", "limits", "validate", "text", "matching", "alignment", "formats", "store"],
    ),
    (
        "grpc",
        &[
            "unit",
            "limits",
            "validate",
            "text",
            "matching",
            "alignment",
            "formats",
            "store",
            "engine",
        ],
    ),
    ("client", &["unit", "limits", "alignment", "formats", "store", "engine", "grpc"]),
    ("terminal", &["engine"]),
    ("http", &["limits"]),
    ("server", &["limits", "grpc", "http"]),
    (
        "bench",
        &[
            "unit",
            "limits",
            "text",
            "matching",
            "alignment",
            "formats",
            "store",
            "engine",
            "grpc",
            "client",
            "terminal",
        ],
    ),
    (
        "cli",
        &[
            "unit",
            "limits",
            "validate",
            "text",
            "matching",
            "alignment",
            "formats",
            "store",
            "engine",
            "grpc",
            "client",
            "http",
            "server",
            "terminal",
            "bench",
        ],
    ),
];

fn sources() -> Vec<(PathBuf, String)> {
    fn walk(directory: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push((path.clone(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let mut found = Vec::new();
    walk(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut found);
    found
}

/// The part of a file that is not tests, without comments.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or(text);
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn layer(path: &Path) -> String {
    let inside = path.strip_prefix(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

#[test]
fn imports_go_one_way() {
    for (path, text) in sources() {
        let layer = layer(&path);
        if layer == "lib" || layer == "main" {
            continue;
        }
        let (_, allowed) = ALLOWED
            .iter()
            .find(|(name, _)| *name == layer)
            .unwrap_or_else(|| panic!("{layer} is not in the table of layers"));
        for used in code(&text).split("crate::").skip(1) {
            let used: String = used
                .chars()
                .take_while(|&letter| letter == '_' || letter.is_alphanumeric())
                .collect();
            let is_module = ALLOWED.iter().any(|(name, _)| *name == used);
            assert!(
                !is_module || used == layer || allowed.contains(&used.as_str()),
                "{} uses crate::{used}, which {layer} must not know",
                path.display()
            );
        }
    }
}

#[test]
fn foreign_names_stay_in_their_file() {
    for (name, place) in [("sled::", "/store/sled/"), ("quick_xml::", "formats/xml/scanner.rs")] {
        for (path, text) in sources() {
            let uses = code(&text).replace("self::sled::", "").contains(name);
            let path = path.to_string_lossy();
            assert!(!uses || path.contains(place), "{path} uses {name}");
        }
    }
    for (path, text) in sources() {
        let inside = layer(&path) == "grpc";
        assert!(inside || !code(&text).contains("include_proto!"), "{}", path.display());
    }
}

#[test]
fn the_pure_core_does_no_io_and_has_no_clock() {
    for (path, text) in sources() {
        if !["text", "matching", "alignment", "formats"].contains(&layer(&path).as_str()) {
            continue;
        }
        for word in
            ["std::fs", "std::net", "std::env", "SystemTime", "Instant", "tokio", "async fn"]
        {
            assert!(!code(&text).contains(word), "{} uses {word}", path.display());
        }
    }
}

#[test]
fn every_file_can_be_held_in_the_head() {
    for (path, text) in sources() {
        assert!(text.lines().count() <= 600, "{} is too long", path.display());
        assert!(text.starts_with("//!"), "{} does not say what it answers", path.display());
    }
}

#[test]
fn the_map_names_every_folder() {
    let map = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs")).unwrap();
    for (name, _) in ALLOWED {
        assert!(
            map.contains(&format!("[`{name}`]")) || map.contains(&format!("[`mod@{name}`]")),
            "{name} is not on the map in src/lib.rs"
        );
    }
}
