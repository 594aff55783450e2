//! Checks the layers of `src/lib.rs`: who may import whom, no circles, what is confined to one folder, and sizes.
//!
//! Sources are parsed, and each import is followed to the file that defines what it names: see [`source`].

mod circles;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use circles::{Circle, Import, circles};
use source::Sources;

const CORE: [&str; 2] = ["unit", "limits"];
/// What the engine may know, and whoever speaks for it.
const ENGINE: [&str; 8] =
    ["unit", "limits", "validate", "text", "matching", "alignment", "formats", "store"];
/// What an entry point of the process may know.
const ALL: [&str; 18] = [
    "unit",
    "limits",
    "validate",
    "text",
    "matching",
    "alignment",
    "formats",
    "store",
    "cluster",
    "engine",
    "operations",
    "grpc",
    "gateway",
    "client",
    "facades",
    "http",
    "server",
    "terminal",
];

/// Each layer with the layers that it may import: a list from above, and more.
const LAYERS: [(&str, &[&str], &[&str]); 20] = [
    ("limits", &[], &[]),
    ("unit", &[], &["limits"]),
    ("validate", &CORE, &[]),
    ("text", &CORE, &[]),
    ("matching", &CORE, &["text"]),
    ("alignment", &CORE, &["text"]),
    ("formats", &CORE, &["validate"]),
    ("store", &CORE, &[]),
    ("cluster", &CORE, &["store"]),
    ("engine", &ENGINE, &[]),
    ("operations", &CORE, &["store"]),
    ("grpc", &ENGINE, &["engine", "operations"]),
    ("gateway", &[], &["limits", "formats", "grpc"]),
    ("client", &ENGINE, &["engine", "grpc"]),
    ("facades", &ENGINE, &["engine", "gateway", "client"]),
    ("http", &[], &["limits"]),
    ("server", &[], &["limits", "cluster", "engine", "grpc", "gateway", "facades", "http"]),
    ("terminal", &[], &["engine"]),
    ("bench", &ALL, &[]),
    ("cli", &ALL, &["bench"]),
];

/// Circles of files inside one folder that are one thought: the files, and why.
const CIRCLES_ALLOWED: [(&[&str], &str); 0] = [];

/// Paths that lead out of the crate, and the folders or files in which alone they may stand.
const CONFINED: [(&str, &[&str]); 9] = [
    ("sled", &["store/sled/"]),
    ("tokio_postgres", &["store/postgres/"]),
    ("tokio_postgres_rustls_improved", &["store/postgres/"]),
    ("deadpool", &["store/postgres/"]),
    ("quick_xml", &["formats/xml/raw.rs"]),
    ("tonic::include_proto", &["grpc/"]),
    ("tonic_reflection", &["grpc/", "server/"]),
    ("rmcp", &["facades/mcp/"]),
    ("schemars", &["facades/mcp/"]),
];

/// Layers that compute and do nothing else, and what they may not use.
const PURE: [&str; 5] = ["limits", "text", "matching", "alignment", "formats"];
const IMPURE: [&str; 6] =
    ["std::fs", "std::net", "std::env", "std::process", "std::time::Instant", "tokio"];

const FILE_LINES_MAX: usize = 450;
const FUNCTION_LINES_MAX: usize = 70;
fn texts() -> BTreeMap<String, String> {
    fn walk(root: &Path, directory: &Path, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    let mut found = BTreeMap::new();
    walk(root, root, &mut found);
    found
}

fn sources() -> &'static Sources {
    static SOURCES: LazyLock<Sources> = LazyLock::new(|| Sources::read("dhakira", &texts()));
    &SOURCES
}

/// The first folder of a file, or its own name.
fn layer(file: &str) -> &str {
    file.split(['/', '.']).next().unwrap()
}

#[test]
fn imports_go_one_way() {
    let sources = sources();
    let mut wrong = String::new();
    for ((from, to), names) in &sources.imports {
        let (layer, used) = (layer(from), layer(to));
        if layer == used || layer == "lib" || layer == "main" {
            continue;
        }
        let row = LAYERS.iter().find(|(name, ..)| *name == layer);
        let (_, extends, more) = row.unwrap_or_else(|| panic!("{layer} is not in the table"));
        if !extends.contains(&used) && !more.contains(&used) {
            wrong += &format!("{from} -> {to}: {names:?}\n");
        }
    }
    assert!(wrong.is_empty(), "imports that ARCHITECTURE does not allow:\n{wrong}");
}

#[test]
fn there_are_no_circles() {
    let all = circles(sources());
    let listed: String = all.iter().map(ToString::to_string).collect();
    println!("{} circles\n{listed}", all.len());
    let is_allowed = |circle: &Circle| {
        let is_same =
            |files: &[&str]| circle.entries.iter().map(String::as_str).eq(files.iter().copied());
        !circle.is_of_folders() && CIRCLES_ALLOWED.iter().any(|(files, _)| is_same(files))
    };
    let wrong: Vec<String> =
        all.iter().filter(|circle| !is_allowed(circle)).map(ToString::to_string).collect();
    assert!(wrong.is_empty(), "{} circles of imports:\n{}", wrong.len(), wrong.join(""));
}

#[test]
fn foreign_names_stay_in_their_folder() {
    for (file, source) in &sources().files {
        for (name, places) in CONFINED {
            let is_user = source.foreign.iter().any(|path| {
                path.strip_prefix(name)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
            });
            let is_home = places.iter().any(|place| file.starts_with(place));
            assert!(!is_user || is_home, "{file} uses {name}, which belongs into {places:?}");
        }
        // The generated types of the API are called by their module.
        let names_generated =
            source.own.iter().find(|path| path.split("::").any(|name| name == "proto"));
        let may = ["grpc", "client"].contains(&layer(file)) || file.starts_with("http/json");
        assert!(
            may || names_generated.is_none(),
            "{file} uses generated types: {names_generated:?}"
        );
    }
}

#[test]
fn the_pure_core_does_no_io_and_has_no_clock() {
    for (file, source) in &sources().files {
        if !PURE.contains(&layer(file)) {
            continue;
        }
        assert!(!source.is_async, "{file} is async");
        let impure = source.foreign.iter().find(|path| {
            IMPURE.iter().any(|name| path.starts_with(name))
                || path.split("::").any(|name| name == "SystemTime" || name == "Instant")
        });
        assert_eq!(impure, None, "{file}");
    }
}

#[test]
fn files_and_functions_are_short() {
    let sources = sources();
    let mut long = String::new();
    for (file, source) in &sources.files {
        assert!(source.has_page, "{file} does not begin with what it does (`//!`)");
        if source.lines > FILE_LINES_MAX {
            long += &format!("{file}: {} lines\n", source.lines);
        }
        for (function, lines) in &source.functions {
            if *lines > FUNCTION_LINES_MAX {
                long += &format!("{file}, {function}: {lines} lines\n");
            }
        }
    }
    assert!(long.is_empty(), "too long:\n{long}");
}

#[test]
fn every_file_is_part_of_the_crate() {
    let sources = sources();
    // Files that only tests declare are not read.
    let texts = texts();
    let is_of_tests = |file: &str| {
        let stem = file.trim_end_matches("/mod.rs").trim_end_matches(".rs");
        let module = stem.rsplit('/').next().unwrap();
        let declared = format!("#[cfg(test)]\nmod {module};");
        texts.values().any(|text| text.contains(&declared))
    };
    for file in texts.keys() {
        assert!(sources.files.contains_key(file) || is_of_tests(file), "{file} is in no module");
    }
}

#[test]
fn the_map_names_every_folder() {
    let map = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs")).unwrap();
    let texts = texts();
    let layers: BTreeSet<&str> = texts.keys().map(|file| layer(file)).collect();
    for name in layers.into_iter().filter(|&name| name != "lib" && name != "main") {
        assert!(LAYERS.iter().any(|(layer, ..)| *layer == name), "{name} is not in the table");
        let is_named =
            map.contains(&format!("[`{name}`]")) || map.contains(&format!("[`mod@{name}`]"));
        assert!(is_named, "{name} is not on the map in src/lib.rs");
    }
}

/// A made-up crate.
fn tree(files: &[(&str, &str)]) -> Sources {
    let text = |&(name, text): &(&str, &str)| (name.to_owned(), text.to_owned());
    Sources::read("made_up", &files.iter().map(text).collect())
}

#[test]
fn imports_are_followed_to_the_file_that_defines() {
    let sources = tree(&[
        ("lib.rs", "pub mod a; pub mod b;"),
        ("main.rs", "use made_up::a::Deep; fn main() { let _ = made_up::b::make(); }"),
        ("a/mod.rs", "mod deep; mod user; pub use deep::{Deep, Other as Renamed}; pub struct Own;"),
        (
            "a/deep.rs",
            "use std::fs; pub struct Deep; pub struct Other; #[cfg(test)] mod tests { use crate::b; }",
        ),
        // Through the parent, by glob, in the tokens of a macro, in a type, in a function.
        (
            "a/user.rs",
            "use super::{Renamed, Own}; fn f() -> super::deep::Deep { println!(\"{}\", crate::b::make()); }",
        ),
        (
            "b.rs",
            "mod inner; use inner::*; use crate::a; pub fn make() { let _: a::Deep; let _ = Thing::new(); }",
        ),
        ("b/inner.rs", "pub struct Thing; pub use crate::a::Own as Foreign;"),
    ]);
    let found: Vec<(&str, &str)> =
        sources.imports.keys().map(|(from, to)| (from.as_str(), to.as_str())).collect();
    let expected = [
        ("a/user.rs", "a/deep.rs"),
        ("a/user.rs", "a/mod.rs"),
        ("a/user.rs", "b.rs"),
        ("b.rs", "a/deep.rs"),
        ("b.rs", "b/inner.rs"),
        // Not below the re-exporting module: an import.
        ("b/inner.rs", "a/mod.rs"),
        ("main.rs", "a/deep.rs"),
        ("main.rs", "b.rs"),
    ];
    assert_eq!(found, expected);
    assert!(sources.files["a/deep.rs"].foreign.contains("std::fs"));
    let functions = &sources.files["b.rs"].functions;
    assert_eq!(functions, &[("make".to_owned(), 1)]);
}

#[test]
fn circles_are_found_at_every_depth() {
    let sources = tree(&[
        ("lib.rs", "mod a; mod b; mod c;"),
        // Two files of one folder.
        ("a/mod.rs", "mod one; mod two; mod three;"),
        ("a/one.rs", "use super::two::Two; pub struct One;"),
        ("a/two.rs", "use super::one::One; pub struct Two;"),
        ("a/three.rs", "use super::one::One;"),
        // Two sub-folders, by different files: no file is on a circle.
        ("b/mod.rs", "mod x; mod y;"),
        ("b/x/mod.rs", "mod lower; mod upper; pub use lower::Lower;"),
        ("b/x/lower.rs", "pub struct Lower;"),
        ("b/x/upper.rs", "use crate::b::y::Y;"),
        ("b/y.rs", "use super::x::Lower; pub struct Y;"),
        // A folder and its own page.
        ("c.rs", "mod d; use d::D; pub struct C;"),
        ("c/d.rs", "use super::C; pub struct D;"),
    ]);
    let found = circles(&sources);
    let summary: Vec<(&str, String, bool)> = found
        .iter()
        .map(|it| (it.folder.as_str(), it.entries.join(" "), it.is_of_folders()))
        .collect();
    let expected = [
        ("a/", "one.rs two.rs".to_owned(), false),
        ("b/", "x/ y.rs".to_owned(), true),
        ("c/", "c.rs d.rs".to_owned(), false),
    ];
    assert_eq!(summary, expected);
    let is_two = |import: &Import| import.from == "a/two.rs" && import.to == "a/one.rs";
    assert!(found[0].imports.iter().any(|import| is_two(import) && import.names == "One"));
    assert_eq!(found[0].imports.len(), 2);
}
