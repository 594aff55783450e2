//! Two programs that ask MyMemory, sent here instead.

use serde_json::json;

use super::{Served, answer, file, python, stored};

#[test]
fn programs_for_mymemory_translate_from_the_memory() {
    let Some(programs) = python("mymemory") else { return };
    let served = Served::start();
    let units = stored();
    // Not the second and third: the same text as the first, and one that `deep-translator` cuts; not the last: it is too long for it.
    let asked = [0, 2, 4, 5].map(|number: usize| &units[number]);
    let texts = asked.map(|unit| unit["source"].as_str().unwrap());
    let with_user = served.url().replace("http://", &format!("http://u:{}@", served.token));
    for url in [
        format!("{with_user}/mymemory/get"),
        format!("{}/mymemory/get?key={}", served.url(), served.token),
    ] {
        let arguments = [&[&*url], &texts[..]].concat();
        let said = answer(programs.join("python"), &file("mymemory/ask.py"), &arguments);
        for (said, unit) in said.as_array().unwrap().iter().zip(asked) {
            assert_eq!([&said["translate"], &said["deep"]], [&unit["target"]; 2]);
            let best = &said["matches"][0];
            assert_eq!(
                (&best["segment"], &best["translation"]),
                (&unit["source"], &unit["target"])
            );
            assert_eq!(best["match"].as_f64(), Some(1.0), "{best}");
        }
        assert_eq!(said[0]["matches"][1]["translation"], json!("Open Settings"));
    }
}
