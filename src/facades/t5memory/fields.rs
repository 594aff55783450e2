//! The fields of a request. Clients write numbers and flags as text or as themselves, and names in any case.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use crate::formats::parse_time;
use crate::unit::{Lang, Timestamp};

use super::super::visit::Visit;
use super::fault::Fault;

/// The names of all fields that are read; others are skipped, whatever they hold.
const NAMES: [&str; 39] = [
    "name",
    "sourceLang",
    "targetLang",
    "source",
    "target",
    "documentName",
    "context",
    "author",
    "timeStamp",
    "type",
    "addInfo",
    "additionalInfo",
    "numOfProposals",
    "saveDifferentTargetsForSameSource",
    "newName",
    "recordKey",
    "targetKey",
    "segmentId",
    "limit",
    "startFromInternalKey",
    "tmxData",
    "data",
    "sourceSearchMode",
    "targetSearchMode",
    "document",
    "documentSearchMode",
    "authorSearchMode",
    "addInfoSearchMode",
    "contextSearchMode",
    "timestampSpanStart",
    "timestampSpanEnd",
    "onlyCountSegments",
    "searchPosition",
    "numResults",
    "searchString",
    "searchType",
    "loggingThreshold",
    "framingTags",
    "markupTable",
];

/// The fields of a request that were given and are not null.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(&'static str, String)>);

impl Fields {
    /// The fields of the body, of which there are none if it is empty.
    pub(super) async fn of(visit: &mut Visit) -> Result<Self, Fault> {
        let received = visit.receive().await?;
        if received.bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        Self::parse(&received.bytes)
    }

    pub(super) fn parse(json: &[u8]) -> Result<Self, Fault> {
        serde_json::from_slice(json)
            .map_err(|error| Fault::bad_request(&format!("the body is no JSON object: {error}")))
    }

    /// A field; empty when it was not given.
    pub(super) fn text(&self, name: &str) -> &str {
        let found = self.0.iter().rev().find(|(field, _)| *field == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    pub(super) fn required(&self, name: &str) -> Result<&str, Fault> {
        match self.text(name) {
            text if text.trim().is_empty() => {
                Err(Fault::bad_request(&format!("the field {name} is missing or empty")))
            }
            text => Ok(text),
        }
    }

    /// A whole number; `None` when it was not given.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Fault> {
        let text = self.text(name).trim();
        if text.is_empty() {
            return Ok(None);
        }
        let wrong = |_| Fault::bad_request(&format!("the field {name} is no whole number"));
        text.parse().map(Some).map_err(wrong)
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        matches!(self.text(name).trim(), "1" | "true" | "yes")
    }

    /// A language, in any case, with `-` or `_`; `None` when it was not given.
    pub(super) fn lang(&self, name: &str) -> Result<Option<Lang>, Fault> {
        let text = self.text(name).trim();
        if text.is_empty() {
            return Ok(None);
        }
        let wrong = |error| Fault::bad_request(&format!("the field {name}: {error}"));
        text.parse().map(Some).map_err(wrong)
    }

    pub(super) fn time(&self, name: &str) -> Result<Option<Timestamp>, Fault> {
        let text = self.text(name).trim();
        if text.is_empty() {
            return Ok(None);
        }
        let wrong =
            || Fault::bad_request(&format!("the field {name} is no time such as 20190401T084052Z"));
        parse_time(text).map(Some).ok_or_else(wrong)
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfObject;

        impl<'de> Visitor<'de> for OfObject {
            type Value = Fields;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields: Vec<(&'static str, String)> = Vec::new();
                while let Some(key) = map.next_key::<String>()? {
                    let Some(name) = NAMES.iter().find(|name| name.eq_ignore_ascii_case(&key))
                    else {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    };
                    let Scalar(value) = map.next_value()?;
                    // Of a field that comes twice, the last one counts.
                    fields.retain(|(field, _)| field != name);
                    fields.extend(value.map(|value| (*name, value)));
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(OfObject)
    }
}

/// A text, number or flag as text; `None` for null.
struct Scalar(Option<String>);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfScalar;

        impl Visitor<'_> for OfScalar {
            type Value = Scalar;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a text, a number, true, false or null")
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<Scalar, E> {
                Ok(Scalar(Some(value.to_owned())))
            }

            fn visit_string<E: Error>(self, value: String) -> Result<Scalar, E> {
                Ok(Scalar(Some(value)))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Scalar, E> {
                Ok(Scalar(Some(value.to_string())))
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Scalar, E> {
                Ok(Scalar(Some(value.to_string())))
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Scalar, E> {
                Ok(Scalar(Some(value.to_string())))
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<Scalar, E> {
                Ok(Scalar(Some(u8::from(value).to_string())))
            }

            fn visit_unit<E: Error>(self) -> Result<Scalar, E> {
                Ok(Scalar(None))
            }
        }

        deserializer.deserialize_any(OfScalar)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_whatever_their_case_and_type() {
        let fields = Fields::parse(
            br#"{"NAME": "a", "numResults": 7, "segmentId": "8", "onlyCountSegments": true, "source": null, "other": [[{}]]}"#,
        )
        .unwrap();
        assert_eq!(fields.text("name"), "a");
        assert_eq!(fields.number("numResults").unwrap(), Some(7));
        assert_eq!(fields.number("segmentId").unwrap(), Some(8));
        assert!(
            fields.flag("onlyCountSegments") && !fields.flag("saveDifferentTargetsForSameSource")
        );
        assert_eq!((fields.text("source"), fields.number("limit").unwrap()), ("", None));
        let deep = format!("{{\"other\": {}{}}}", "[".repeat(1_000), "]".repeat(1_000));
        assert_eq!(Fields::parse(deep.as_bytes()).unwrap().0, []);
        for wrong in ["", "[]", "\"x\"", "{\"name\": {}}", "{\"name\": [1]}", "{"] {
            assert!(Fields::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
