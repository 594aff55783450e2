//! Risk: the description of the API says something else than the API does, or a generator cannot read it.

use std::collections::BTreeSet;

use prost_reflect::{DescriptorPool, Value as Field};
use serde_json::Value;

use dhakira::grpc::DESCRIPTORS;

use crate::json::Http;
use crate::method_examples::methods;
use crate::support::TestServer;

async fn description() -> Value {
    let server = TestServer::start().await;
    let mut http = Http::one(server.address()).await;
    let answer = http.get("/openapi.json").await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/json"));
    answer.json()
}

/// What is wrong with a value by the part of JSON Schema that the description uses.
fn faults(root: &Value, schema: &Value, value: &Value, place: &str) -> Vec<String> {
    const KNOWN: [&str; 22] = [
        "$ref",
        "type",
        "description",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "enum",
        "const",
        "anyOf",
        "allOf",
        "not",
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "pattern",
        "format",
        "examples",
        "contentEncoding",
    ];
    let object = schema.as_object().unwrap_or_else(|| panic!("{place}: {schema}"));
    let mut found = Vec::new();
    let mut wrong = |what: String| found.push(format!("{place}: {what}"));
    for key in object.keys() {
        let known =
            KNOWN.contains(&key.as_str()) || ["readOnly", "writeOnly"].contains(&key.as_str());
        assert!(known, "{place}: the test does not know {key}");
    }
    if let Some(path) = schema["$ref"].as_str() {
        let target = root.pointer(path.trim_start_matches('#'));
        return faults(root, target.unwrap_or_else(|| panic!("no {path}")), value, place);
    }
    let is = |kind: &str| match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        other => panic!("type {other}"),
    };
    match &schema["type"] {
        Value::String(kind) if !is(kind) => wrong(format!("{value} is no {kind}")),
        Value::Array(kinds) if !kinds.iter().any(|it| is(it.as_str().unwrap())) => {
            wrong(format!("{value} is none of {kinds:?}"));
        }
        _ => {}
    }
    if schema["enum"].as_array().is_some_and(|names| !names.contains(value)) {
        wrong(format!("{value} is no value of the enum"));
    }
    if let Some(number) = value.as_f64()
        && (schema["minimum"].as_f64().is_some_and(|it| number < it)
            || schema["maximum"].as_f64().is_some_and(|it| number > it))
    {
        wrong(format!("{number} is out of its range"));
    }
    if let Some(text) = value.as_str() {
        let length = text.chars().count() as u64;
        if schema["minLength"].as_u64().is_some_and(|it| length < it)
            || schema["maxLength"].as_u64().is_some_and(|it| length > it)
        {
            wrong(format!("{text} has the wrong length"));
        }
    }
    if let Some(items) = value.as_array() {
        let count = items.len() as u64;
        if schema["minItems"].as_u64().is_some_and(|it| count < it)
            || schema["maxItems"].as_u64().is_some_and(|it| count > it)
        {
            wrong(format!("{count} are too many or too few"));
        }
    }
    if let Some(fields) = value.as_object() {
        for name in schema["required"].as_array().into_iter().flatten() {
            if !fields.contains_key(name.as_str().unwrap()) {
                wrong(format!("{name} is missing"));
            }
        }
    }
    for all in schema["allOf"].as_array().into_iter().flatten() {
        found.extend(faults(root, all, value, place));
    }
    let any = |parts: &Vec<Value>| parts.iter().any(|it| faults(root, it, value, place).is_empty());
    if schema["anyOf"].as_array().is_some_and(|parts| !any(parts)) {
        found.push(format!("{place}: {value} is none of several"));
    }
    if object.contains_key("not") && faults(root, &schema["not"], value, place).is_empty() {
        found.push(format!("{place}: {value} is what it must not be"));
    }
    for (number, item) in value.as_array().into_iter().flatten().enumerate() {
        found.extend(faults(root, &schema["items"], item, &format!("{place}[{number}]")));
    }
    for (name, field) in value.as_object().into_iter().flatten() {
        let place = format!("{place}.{name}");
        match (schema["properties"].get(name), &schema["additionalProperties"]) {
            (Some(property), _) => found.extend(faults(root, property, field, &place)),
            (None, Value::Bool(false)) => found.push(format!("{place} is not described")),
            (None, other @ Value::Object(_)) => found.extend(faults(root, other, field, &place)),
            _ => {}
        }
    }
    found
}

/// Every operation, with its verb and path.
fn operations(root: &Value) -> Vec<(String, String, &Value)> {
    let paths = root["paths"].as_object().unwrap();
    let all = paths.iter().flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(move |(verb, it)| (verb.clone(), path.clone(), it))
    });
    all.collect()
}

#[tokio::test]
async fn every_route_is_described_and_nothing_else() {
    let root = description().await;
    assert_eq!(root["openapi"], "3.1.0");
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    let http = pool.get_extension_by_name("google.api.http").unwrap();
    let mut expected = BTreeSet::new();
    for method in methods() {
        // Other streams of clients are by gRPC only.
        if method.is_client_streaming() && method.name() != "ImportFile" {
            continue;
        }
        let options = method.options();
        let rule = options.get_extension(&http);
        let text = |name: &str| {
            let field = rule.as_message().unwrap().get_field_by_name(name).unwrap();
            Field::as_str(&field).unwrap().to_owned()
        };
        let verb =
            ["get", "post", "patch", "delete"].into_iter().find(|it| !text(it).is_empty()).unwrap();
        let mut path = text(verb);
        for (pattern, name) in [
            ("memories/*", "memories/{memory}"),
            ("units/*", "units/{unit}"),
            ("operations/*", "operations/{operation}"),
        ] {
            path = path.replace(pattern, name);
        }
        // `{parent=memories/{memory}}` is `memories/{memory}`.
        while let Some(start) =
            path.find("{").filter(|it| path[*it..].contains('=')).and_then(|_| {
                path.match_indices('{').map(|(at, _)| at).find(|at| {
                    path[*at..].split_once('=').is_some_and(|(name, _)| !name.contains('}'))
                })
            })
        {
            let equals = start + path[start..].find('=').unwrap();
            let close = path.rfind("}}").map(|at| at + 1).unwrap();
            path = format!("{}{}{}", &path[..start], &path[equals + 1..close], &path[close + 1..]);
        }
        let service = method.parent_service().name().to_owned();
        expected.insert((verb.to_owned(), path, format!("{service}_{}", method.name())));
    }
    let told: BTreeSet<_> = operations(&root)
        .into_iter()
        .map(|(verb, path, it)| (verb, path, it["operationId"].as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(told, expected);
    assert!(told.len() > 35);
}

#[tokio::test]
async fn every_example_is_by_its_schema() {
    let root = description().await;
    let mut examined = 0;
    let mut wrong = Vec::new();
    for (verb, path, operation) in operations(&root) {
        let place = format!("{verb} {path}");
        for text in ["summary", "description"] {
            assert!(!operation[text].as_str().unwrap().is_empty(), "{place} has no {text}");
        }
        for parameter in operation["parameters"].as_array().unwrap() {
            if let Some(example) = parameter.get("example") {
                examined += 1;
                // What a query gives is text.
                let example = match (&parameter["schema"]["type"], example) {
                    (Value::String(kind), Value::String(text)) if kind == "integer" => {
                        text.parse::<i64>().unwrap().into()
                    }
                    _ => example.clone(),
                };
                wrong.extend(faults(&root, &parameter["schema"], &example, &place));
            }
        }
        let body = &operation["requestBody"]["content"]["application/json"];
        let answers = operation["responses"]["200"]["content"].as_object().unwrap();
        for media in
            std::iter::once(body).chain(answers.values()).filter(|it| it["examples"].is_object())
        {
            let example = &media["examples"]["example"]["value"];
            let (schema, example) = match media.get("x-item-schema") {
                Some(schema) => {
                    let text = example.as_str().unwrap().trim().trim_start_matches("data: ");
                    (schema, serde_json::from_str(text).unwrap())
                }
                None => (&media["schema"], example.clone()),
            };
            examined += 1;
            wrong.extend(faults(&root, schema, &example, &place));
        }
        // A message in a body has an example; each answer has one.
        assert!(body.is_null() || body["examples"].is_object(), "{place}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(examined > 100, "{examined}");
}

#[tokio::test]
async fn schemas_say_what_is_required_and_what_is_refused() {
    let root = description().await;
    let lookup = &root["components"]["schemas"]["LookupSegmentsRequest"];
    let good = serde_json::json!({"settings": {"memories": [{"name": "memories/news"}]}, "segments": [{"segment": {"text": "x"}}]});
    assert_eq!(faults(&root, lookup, &good, "lookup"), [""; 0]);
    for (bad, said) in [
        (serde_json::json!({}), "settings"),
        (serde_json::json!({"settings": {"memories": []}}), "too few"),
        (serde_json::json!({"settings": {"memories": [{}]}}), "name"),
        (
            serde_json::json!({"settings": {"memories": [{"name": "memories/a", "penaltyPoints": 101}]}}),
            "range",
        ),
        (
            serde_json::json!({"settings": {"memories": [{"name": "memories/a"}], "offsetUnit": "MILES"}}),
            "enum",
        ),
        (
            serde_json::json!({"settings": {"memories": [{"name": "memories/a"}], "colour": 1}}),
            "not described",
        ),
        (
            serde_json::json!({"settings": {"memories": [{"name": "memories/a"}], "penalties": [{"author": "a", "unfinishedState": "b"}]}}),
            "must not",
        ),
    ] {
        let found = faults(&root, lookup, &bad, "lookup").join("\n");
        assert!(found.contains(said), "{bad}: {found}");
    }
    let unit = &root["components"]["schemas"]["Unit"]["properties"];
    assert!(unit["revision"]["readOnly"] == true && unit["revision"]["type"] == "string");
    assert_eq!(unit["createTime"]["format"], "date-time");
    // A number of 64 bits may be sent as either.
    let uses = &root["components"]["schemas"]["ImportFileResponse"]["properties"]["bytesRead"];
    assert_eq!(uses["type"], "string");
    let rollback = &root["components"]["schemas"]["RollbackUnitRequest"];
    assert_eq!(
        rollback["properties"]["revision"]["type"],
        serde_json::json!(["string", "integer"])
    );
    // What the path gives is in no body.
    assert!(
        rollback["properties"].get("name").is_none()
            && rollback["required"] == serde_json::json!(["revision"])
    );
    let text = root.to_string();
    assert!(!text.contains("next_page_token") && text.contains("`nextPageToken`"));
}
