//! Serializes fields that were added to a type whose serialized form is stored or hashed: only when they are set, and behind a
//! marker.
//!
//! Values without the field keep the bytes that earlier versions wrote, and no two values share their bytes: a marker is not the
//! beginning of any other field, because it is longer than every text.

use serde::{Serialize, Serializer};

/// Serializes a field behind its marker, for `serialize_with`. `FIELD` distinguishes the fields of a type.
pub(crate) fn marked<T: Serialize, S: Serializer, const FIELD: u8>(
    value: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    (u64::MAX, FIELD, value).serialize(serializer)
}
