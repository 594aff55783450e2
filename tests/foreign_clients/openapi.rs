//! Public tools take the description of the JSON API: a validator, a generator of clients, and a property-based tester.

use serde_json::{Value, json};

use super::{SCRIPT_SECONDS, Served, answer, file, limited, printed, python, stored};

/// Seconds that the property-based tester may use.
const TESTER_SECONDS: &str = "30";

/// What must hold for every answer. Not that what the description allows is accepted: it cannot say all that must be true.
const CHECKS: [&str; 10] = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
    "use_after_free",
    "ensure_resource_availability",
];

/// Streams that end only when the client leaves, and a call that waits.
const ENDLESS: &str = ":(watch|wait)$";

#[test]
fn a_client_generated_from_the_description_creates_and_finds() {
    let Some(programs) = python("openapi") else { return };
    let served = Served::start();
    let address = format!("{}/openapi.json", served.url());
    let python = programs.join("python");
    let valid = answer(&python, &file("openapi/validate.py"), &[&address]);
    assert!(valid[0] == "3.1.0" && valid[1].as_u64() > Some(20), "{valid}");
    let package = served.path("generated");
    let configuration = file("openapi/generator.yaml");
    let arguments = ["generate", "--meta", "none", "--url", &address];
    let to = ["--output-path", &package, "--config", configuration.to_str().unwrap()];
    let said = printed(programs.join("openapi-python-client"), &[&arguments[..], &to].concat());
    // It warns of what it leaves out.
    assert!(!said.to_lowercase().contains("warning"), "{said}");

    let script = file("openapi/client.py");
    let arguments = [&*package, served.url(), &served.token];
    let said = answer(&python, &script, &arguments);
    let units = stored();
    let wanted = json!({
        "best": [units[0]["target"], 100.0],
        "created": "memories/generated/units/1",
        "listed": [["source", "target", "menu/new"]],
        "missing": [404, "memory 'generated' has no unit 99"],
        "stranger": 401,
    });
    assert_eq!(said, wanted);
}

#[test]
fn no_request_that_the_description_suggests_is_a_server_error() {
    let Some(programs) = python("openapi") else { return };
    let served = Served::start();
    let address = format!("{}/openapi.json", served.url());
    let authorization = format!("Authorization: Bearer {}", served.token);
    let checks = CHECKS.join(",");
    let report = served.path("report.json");
    let arguments = [
        ["run", &address],
        ["--header", &authorization],
        ["--checks", &checks],
        ["--exclude-path-regex", ENDLESS],
        ["--max-time", TESTER_SECONDS],
        ["--workers", "2"],
        ["--report-json-path", &report],
        ["--warnings", "off"],
    ];
    let mut tester = limited(SCRIPT_SECONDS, programs.join("schemathesis"));
    // It keeps what it found in the folder where it runs.
    tester.current_dir(served.path(""));
    tester.arg("--no-color").args(arguments.as_flattened()).arg("--generation-deterministic");
    let output = tester.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let report = std::fs::read(report).unwrap_or_else(|error| panic!("{error}: {said}"));
    let report: Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(report["failures"], json!([]), "{said}");
    // Faults of the tester itself do not count.
    assert!(!report["errors"].to_string().contains("Network"), "{said}");
    let [operations, cases] = [&report["operations"]["tested"], &report["test_cases"]["generated"]];
    assert!(operations.as_u64() >= Some(20) && cases.as_u64() >= Some(200), "{said}");
}
