//! The documentation is what it says: short, whole, with links that lead somewhere, and commands that print what is beside them.

mod tour;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const README_LINES_MAX: usize = 150;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The pages of the repository, without the data of tests.
fn pages() -> BTreeMap<PathBuf, String> {
    fn walk(directory: &Path, pages: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, pages);
            } else if path.extension().is_some_and(|it| it == "md") {
                pages.push(path);
            }
        }
    }
    let mut found = Vec::new();
    ["docs", "benches", "src"].iter().for_each(|name| walk(&root().join(name), &mut found));
    found.push(root().join("fuzz/README.md"));
    let top = fs::read_dir(root()).unwrap().map(|it| it.unwrap().path());
    found.extend(top.filter(|it| it.extension().is_some_and(|it| it == "md")));
    found.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// The lines of a page outside of its blocks of code, without code inside of lines.
fn prose(page: &str) -> Vec<String> {
    let mut is_code = false;
    let mut lines = Vec::new();
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            lines.push(line.split('`').step_by(2).collect());
        }
    }
    lines
}

/// The targets of the links of a page.
fn links(page: &str) -> Vec<String> {
    let lines = prose(page);
    let after = lines.iter().flat_map(|line| line.split("](").skip(1));
    after.filter_map(|rest| rest.split_once(')')).map(|(target, _)| target.to_owned()).collect()
}

/// The anchors of the headings of a page, as GitHub and mdBook make them.
fn anchors(page: &str) -> Vec<String> {
    let mut is_code = false;
    let mut anchors: Vec<String> = Vec::new();
    for line in page.lines() {
        is_code ^= line.trim_start().starts_with("```");
        let Some((marks, title)) = line.split_once(' ') else { continue };
        if is_code || marks.is_empty() || marks.chars().any(|it| it != '#') {
            continue;
        }
        let title = title.to_lowercase();
        let kept = title.chars().filter(|it| it.is_alphanumeric() || " -_".contains(*it));
        let slug = kept.collect::<String>().replace(' ', "-");
        let before = anchors.iter().filter(|it| **it == slug).count();
        anchors.push(if before == 0 { slug } else { format!("{slug}-{before}") });
    }
    anchors
}

#[test]
fn links_lead_to_files_and_headings() {
    let pages = pages();
    let (mut wrong, mut checked) = (String::new(), 0);
    for (path, page) in &pages {
        for link in links(page) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            checked += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match file {
                "" => path.clone(),
                _ => path.parent().unwrap().join(file),
            };
            let Ok(target) = target.canonicalize() else {
                wrong += &format!("{}: {link}: there is no such file\n", path.display());
                continue;
            };
            let has_anchor = || {
                let text = fs::read_to_string(&target).unwrap();
                anchors(&text).iter().any(|it| it == anchor)
            };
            if !anchor.is_empty() && !has_anchor() {
                wrong += &format!("{}: {link}: there is no such heading\n", path.display());
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(checked > 80, "{checked} links");
}

#[test]
fn links_and_anchors_are_found_in_prose_alone() {
    let page =
        "# A `code`, b\n[a](b.md#c) `[no](x)`\n```sh\n# no heading\n[no](y)\n```\n## A code b\n";
    assert_eq!(links(page), ["b.md#c"]);
    assert_eq!(anchors(page), ["a-code-b", "a-code-b-1"]);
}

#[test]
fn every_page_of_the_book_is_in_its_summary() {
    let summary = fs::read_to_string(root().join("docs/SUMMARY.md")).unwrap();
    let listed = links(&summary);
    for path in pages().keys() {
        let Ok(name) = path.strip_prefix(root().join("docs")) else { continue };
        let name = name.to_str().unwrap();
        assert!(name == "SUMMARY.md" || listed.iter().any(|it| it == name), "{name} is not listed");
    }
}

#[test]
fn the_readme_fits_on_some_screens() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let lines = readme.lines().count();
    assert!(lines <= README_LINES_MAX, "{lines} lines");
}

/// The first cells of the rows of a table, as names of folders.
fn folders<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let cells = lines.filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let names = cells.filter_map(|cell| cell.trim_start_matches('[').strip_prefix('`'));
    names.map(|name| name.split('`').next().unwrap().trim_start_matches("mod@")).collect()
}

#[test]
fn the_page_on_architecture_has_the_map_of_the_code() {
    let code = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let page = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let map = folders(code.lines().filter_map(|line| line.strip_prefix("//! ")));
    assert!(map.len() > 15, "{map:?}");
    assert_eq!(folders(page.lines()), map);
}
