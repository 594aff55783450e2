//! Weblate's own class for tmserver: its settings page, and suggestions for texts.

use serde_json::{Value, json};

use super::{Served, answer, file, python, stored};

/// Target, quality and source of each suggestion for a text.
fn suggestions(answer: &Value) -> Vec<Vec<Value>> {
    let each = |it: &Value| json!([it["text"], it["quality"], it["source"]]);
    let texts = answer["suggestions"].as_array().unwrap_or_else(|| panic!("{answer}"));
    texts.iter().map(|it| it.as_array().unwrap().iter().map(each).collect()).collect()
}

#[test]
fn weblate_takes_its_settings_and_gets_suggestions() {
    let Some(programs) = python("weblate") else { return };
    let served = Served::start();
    let ask = |token: &str, texts: &[&str]| {
        // Weblate has no field for a token of this service, so it stands in the address.
        let server = served.url().replace("http://", &format!("http://weblate:{token}@"));
        let server = format!("{server}/tmserver/");
        let arguments = [&[&*server, "ar", "en", "50"], texts].concat();
        answer(programs.join("python"), &file("weblate/suggest.py"), &arguments)
    };
    let units = stored();
    let source = |number: usize| units[number]["source"].as_str().unwrap();
    let all: Vec<&str> = (0..units.len()).map(source).collect();
    let near = format!("{} \u{627}\u{644}\u{622}\u{646}", source(0));
    let said =
        ask(&served.token, &[&all[..], &[&near, "\u{632}\u{631}\u{627}\u{641}\u{629}"]].concat());
    assert_eq!(said["errors"], json!({}));
    assert_eq!(said["languages"], json!([["ar", "en"]]));
    let said = suggestions(&said);
    for (number, unit) in units.iter().enumerate() {
        let best = json!([unit["target"], 100, unit["source"]]);
        match number {
            // Weblate replaces the placeholder before it asks.
            4 => assert_eq!(said[number][0][0], unit["target"]),
            // Weblate asks for the first 500 characters.
            6 => {
                assert_eq!((&said[number][0][0], &said[number][0][2]), (&best[0], &best[2]));
                assert!((90..100).contains(&said[number][0][1].as_i64().unwrap()));
            }
            _ => assert!(said[number].contains(&best), "{best} in {:?}", said[number]),
        }
    }
    assert_eq!(said[0].len(), 2, "one source in two contexts: {:?}", said[0]);
    let quality = said[units.len()][0][1].as_i64().unwrap();
    assert!((50..100).contains(&quality), "{quality}");
    assert_eq!(said[units.len() + 1], Vec::<Value>::new());

    let refused = ask("dhk_wrong", &[]);
    assert!(refused["errors"].to_string().contains("401"), "{refused}");
}
