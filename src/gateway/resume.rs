//! Resumes streams of events where their client lost them, by the header that browsers send when they connect again.

use http::HeaderMap;
use prost_reflect::{MessageDescriptor, MethodDescriptor};

use super::query;

/// The fields that answers carry and requests resume after.
const PLACES: [&str; 2] = ["resume_token", "cursor"];

/// The field of a message whose value is the id of its event.
pub(super) fn id_field(output: &MessageDescriptor) -> Option<&'static str> {
    PLACES.into_iter().find(|name| output.get_field_by_name(name).is_some())
}

/// The field with which a request resumes, its value, and the query without what said another place.
pub(super) fn resumed(
    method: &MethodDescriptor,
    headers: &HeaderMap,
    query: &str,
) -> Option<((String, String), String)> {
    let last = headers.get("last-event-id")?.to_str().ok().filter(|id| !id.is_empty())?;
    let name = id_field(&method.output())?;
    let field = method.input().get_field_by_name(name)?;
    let mut names: Vec<String> = Vec::new();
    let others =
        field.containing_oneof().into_iter().flat_map(|it| it.fields().collect::<Vec<_>>());
    for field in others.chain([field.clone()]) {
        names.extend([field.name().to_owned(), field.json_name().to_owned()]);
    }
    let is_kept = |part: &&str| {
        let key = query::pairs(part).ok().and_then(|pairs| pairs.into_iter().next());
        key.is_none_or(|(key, _)| !names.contains(&key))
    };
    let rest: Vec<&str> = query.split('&').filter(is_kept).collect();
    Some(((name.to_owned(), last.to_owned()), rest.join("&")))
}
