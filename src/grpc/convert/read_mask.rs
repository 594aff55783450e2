//! Read masks (AIP-157): the fields of an answer that a call asks for.

use std::collections::BTreeMap;

use prost_types::FieldMask;

use super::FieldViolation;

/// The fields of a message that are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Fields {
    /// All of them.
    #[default]
    All,
    /// These, each with the fields asked for inside it.
    Named(BTreeMap<String, Fields>),
}

/// What a mask may name inside a field.
#[derive(Debug, Clone, Copy)]
pub(super) enum Inside {
    /// Nothing.
    Nothing,
    /// The keys of a map.
    Keys,
    /// The fields of a message.
    Message(Message),
}

/// A message whose fields a mask may name.
pub(super) type Message = &'static [(&'static str, Inside)];

const SEGMENT: Message = &[("text", Inside::Nothing), ("tags", Inside::Nothing)];
pub(super) const UNIT: Message = &[
    ("name", Inside::Nothing),
    ("source", Inside::Message(SEGMENT)),
    ("target", Inside::Message(SEGMENT)),
    ("context", Inside::Nothing),
    ("document", Inside::Nothing),
    ("author", Inside::Nothing),
    ("create_time", Inside::Nothing),
    ("update_time", Inside::Nothing),
    ("attributes", Inside::Keys),
    ("revision", Inside::Nothing),
    ("etag", Inside::Nothing),
    ("use_count", Inside::Nothing),
    ("last_use_time", Inside::Nothing),
];
pub(super) const MATCH: Message = &[
    ("score_percent", Inside::Nothing),
    ("kind", Inside::Nothing),
    ("deductions", Inside::Nothing),
    ("edits", Inside::Nothing),
    ("unit", Inside::Message(UNIT)),
    ("adapted_target", Inside::Nothing),
    ("substitutions", Inside::Nothing),
    ("spans_to_edit", Inside::Nothing),
    ("agreed_contexts", Inside::Nothing),
    ("match_rate", Inside::Nothing),
];
pub(super) const CONCORDANCE_HIT: Message =
    &[("unit", Inside::Message(UNIT)), ("highlights", Inside::Nothing)];

impl Fields {
    /// The fields of a message that a mask names; all without a mask.
    pub(super) fn read(mask: Option<FieldMask>, message: Message) -> Result<Self, FieldViolation> {
        let paths = mask.map(|mask| mask.paths).unwrap_or_default();
        if paths.is_empty() || paths == ["*"] {
            return Ok(Self::All);
        }
        let mut fields = Self::Named(BTreeMap::new());
        for path in &paths {
            fields.add(path, message).ok_or_else(|| {
                let what = match path.as_str() {
                    "*" => "'*' stands alone, for all fields".to_owned(),
                    _ => format!("'{path}' is not a field of the answer; {} are", names(message)),
                };
                FieldViolation::new("read_mask", what)
            })?;
        }
        Ok(fields)
    }

    /// Adds a path; `None` when there is no such field.
    fn add(&mut self, path: &str, message: Message) -> Option<()> {
        let (name, rest) = match path.split_once('.') {
            Some((name, rest)) => (name, Some(rest)),
            None => (path, None),
        };
        let (_, inside) = message.iter().find(|(known, _)| *known == name)?;
        match (rest, *inside) {
            (None, _) => *self.inner(name) = Self::All,
            (Some(_), Inside::Nothing) => return None,
            (Some(rest), Inside::Message(message)) => self.inner(name).add(rest, message)?,
            (Some(key), Inside::Keys) => {
                // Backquotes around a key allow dots in it (AIP-161).
                let bare = key.strip_prefix('`').and_then(|key| key.strip_suffix('`'));
                *self.inner(name).inner(bare.unwrap_or(key)) = Self::All;
            }
        }
        Some(())
    }

    /// The fields inside one of these, which is added unless it is asked for already.
    fn inner(&mut self, name: &str) -> &mut Self {
        match self {
            Self::All => self,
            Self::Named(fields) => {
                let nothing = || Self::Named(BTreeMap::new());
                fields.entry(name.to_owned()).or_insert_with(nothing)
            }
        }
    }

    /// Whether a field is asked for, or some of what is inside it.
    pub(super) fn has(&self, name: &str) -> bool {
        self.of(name).is_some()
    }

    /// What is asked for inside a field; `None` when the field is not asked for.
    pub(super) fn of(&self, name: &str) -> Option<&Self> {
        match self {
            Self::All => Some(self),
            Self::Named(fields) => fields.get(name),
        }
    }
}

fn names(message: Message) -> String {
    message.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    use super::super::super::proto::DESCRIPTORS;
    use super::*;

    #[test]
    fn every_field_of_the_messages_can_be_named() {
        let files = FileDescriptorSet::decode(DESCRIPTORS).unwrap().file;
        let messages: Vec<_> = files.iter().flat_map(|file| &file.message_type).collect();
        let named = [
            ("Segment", SEGMENT),
            ("Unit", UNIT),
            ("Match", MATCH),
            ("ConcordanceHit", CONCORDANCE_HIT),
        ];
        for (name, known) in named {
            let message = messages.iter().find(|message| message.name() == name).unwrap();
            let fields: Vec<_> =
                message.field.iter().map(prost_types::FieldDescriptorProto::name).collect();
            let known: Vec<_> = known.iter().map(|(field, _)| *field).collect();
            let missing: Vec<_> = fields.iter().filter(|field| !known.contains(field)).collect();
            assert!(missing.is_empty() && known.len() == fields.len(), "{name}: {missing:?}");
        }
    }

    #[test]
    fn a_mask_is_read_as_a_tree() {
        let read = |paths: &[&str]| {
            let paths = paths.iter().map(|&path| path.to_owned()).collect();
            Fields::read(Some(FieldMask { paths }), MATCH)
        };
        let fields = read(&["kind", "unit.target.text", "unit.attributes.`a.b`"]).unwrap();
        assert!(fields.has("kind") && !fields.has("edits"));
        let unit = fields.of("unit").unwrap();
        assert!(unit.has("target") && !unit.has("source"));
        assert!(!unit.of("target").unwrap().has("tags"));
        assert!(unit.of("attributes").unwrap().has("a.b"));
        // The wider path wins, in either order.
        for paths in [["unit", "unit.target"], ["unit.target", "unit"]] {
            assert_eq!(read(&paths).unwrap().of("unit"), Some(&Fields::All));
        }
        assert_eq!(read(&["*"]).unwrap(), Fields::All);
        assert_eq!(read(&[]).unwrap(), Fields::All);
        for wrong in ["", "x", "unit.x", "kind.x", "unit.target.text.x", "unit.", "edits.kind"] {
            assert!(read(&[wrong]).is_err(), "{wrong}");
        }
        assert!(read(&["*", "kind"]).is_err());
    }
}
