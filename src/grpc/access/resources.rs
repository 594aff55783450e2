//! Finds the memories that a request names, on the wire, before any handler sees the message.
//!
//! Reads messages with the very routines that decode them afterwards; where a field comes twice, both are looked at.

use bytes::Buf;
use prost::DecodeError;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use crate::unit::MemoryName;

use super::grants::{Grants, Role};
use super::rules::{FieldPath, Rule};

impl Rule {
    /// The memories that a message names.
    ///
    /// # Errors
    /// The bytes are not a valid message.
    pub fn resources(&self, mut message: impl Buf) -> Result<Vec<ResourceRef>, DecodeError> {
        let mut found = Vec::new();
        let fields: Vec<&FieldPath> = self.fields.iter().collect();
        if !fields.is_empty() {
            visit(&mut message, 0, (0, &fields), &mut found)?;
        }
        Ok(found)
    }
}

/// A memory that a message names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceRef {
    /// The name as the client wrote it, shortened when it is long.
    pub text: String,
    /// The memory; `None` when the text is not the name of one, as `memories/-` for all.
    pub memory: Option<MemoryName>,
    /// The role that the caller needs for it.
    pub role: Role,
    /// Whether the call writes to it.
    pub writes: bool,
}

impl ResourceRef {
    fn new(bytes: &[u8], field: &FieldPath) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let memory = text.split_once("/units/").map_or(&*text, |(memory, _)| memory);
        Self {
            memory: memory.parse().ok(),
            text: memory.chars().take(80).collect(),
            role: field.role,
            writes: field.writes,
        }
    }

    /// Whether these grants allow the call; what is not the name of a memory requires the role for all memories.
    pub fn is_allowed_by(&self, grants: &Grants) -> bool {
        let role = match &self.memory {
            Some(memory) => grants.role_for(memory),
            None => grants.role_for_all(),
        };
        role.is_some_and(|role| role >= self.role)
    }
}

/// Collects the values of the fields in a message that ends where `end` bytes remain, `level` fields deep.
fn visit(
    message: &mut impl Buf,
    end: usize,
    (level, fields): (usize, &[&FieldPath]),
    found: &mut Vec<ResourceRef>,
) -> Result<(), DecodeError> {
    while message.remaining() > end {
        let (field, wire_type) = decode_key(message)?;
        let here: Vec<&FieldPath> =
            fields.iter().copied().filter(|it| it.path.get(level) == Some(&field)).collect();
        if here.is_empty() || wire_type != WireType::LengthDelimited {
            skip_field(wire_type, field, message, DecodeContext::default())?;
            continue;
        }
        let length = usize::try_from(decode_varint(message)?).unwrap_or(usize::MAX);
        let Some(inner_end) = message.remaining().checked_sub(length).filter(|it| *it >= end)
        else {
            return truncated(field);
        };
        let (ends, deeper): (Vec<&FieldPath>, Vec<&FieldPath>) =
            here.into_iter().partition(|it| it.path.len() == level + 1);
        if deeper.is_empty() {
            let value = message.copy_to_bytes(length);
            found.extend(ends.into_iter().map(|it| ResourceRef::new(&value, it)));
        } else {
            visit(message, inner_end, (level + 1, &deeper), found)?;
        }
    }
    if message.remaining() < end { truncated(1) } else { Ok(()) }
}

/// The error that decoding gives when a field ends before it should.
fn truncated(field: u32) -> Result<(), DecodeError> {
    skip_field(WireType::SixtyFourBit, field, &mut &b""[..], DecodeContext::default())
}
