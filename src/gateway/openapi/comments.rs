//! Reads the comments of the protocol: descriptions, with field names as JSON writes them, and the examples of methods.

use std::collections::{HashMap, HashSet};

use prost_reflect::{DescriptorPool, FieldDescriptor, FileDescriptor};
use serde_json::Value;

/// What is written above a part of the protocol.
#[derive(Debug, Clone, Default)]
pub(super) struct Comment {
    pub(super) text: String,
    /// The JSON after `Request:` and `Response:`.
    pub(super) request: Option<Value>,
    pub(super) response: Option<Value>,
}

impl Comment {
    /// The first sentence.
    pub(super) fn summary(&self) -> &str {
        let end = self.text.find(". ").or_else(|| self.text.find(".\n"));
        self.text.get(..end.unwrap_or(self.text.len())).unwrap_or_default().trim_end_matches('.')
    }
}

/// The comments of all files.
pub(super) struct Comments {
    /// By file and place in it.
    texts: HashMap<(String, Vec<i32>), String>,
    /// The names of fields that JSON writes differently.
    renamed: HashSet<String>,
}

impl Comments {
    pub(super) fn read(pool: &DescriptorPool) -> Self {
        let mut texts = HashMap::new();
        for file in pool.files() {
            let proto = file.file_descriptor_proto();
            let locations = proto.source_code_info.iter().flat_map(|it| &it.location);
            for location in locations.filter(|it| it.leading_comments.is_some()) {
                let text = location.leading_comments().to_owned();
                texts.insert((file.name().to_owned(), location.path.clone()), text);
            }
        }
        let fields = pool.all_messages().flat_map(|it| it.fields().collect::<Vec<_>>());
        let renamed = fields.filter(|it| it.name() != it.json_name());
        Self { texts, renamed: renamed.map(|it| it.name().to_owned()).collect() }
    }

    pub(super) fn of(&self, file: &FileDescriptor, path: &[i32]) -> Comment {
        let key = (file.name().to_owned(), path.to_vec());
        let Some(text) = self.texts.get(&key) else { return Comment::default() };
        let mut comment = Comment::default();
        let mut paragraphs = Vec::new();
        for paragraph in paragraphs_of(text) {
            if let Some(json) = example(&paragraph, "Request: ") {
                comment.request = Some(json);
            } else if let Some(json) = example(&paragraph, "Response: ") {
                comment.response = Some(json);
            } else {
                paragraphs.push(self.in_json(&paragraph));
            }
        }
        comment.text = paragraphs.join("\n\n");
        comment
    }

    pub(super) fn of_field(&self, field: &FieldDescriptor) -> String {
        let file = field.parent_message().parent_file();
        // Its values are names of columns, which are the same in every form of the protocol.
        if field.name() == "order_by" {
            let text = self.texts.get(&(file.name().to_owned(), field.path().to_vec()));
            return paragraphs_of(text.map_or("", String::as_str)).join("\n\n");
        }
        self.of(&file, field.path()).text
    }

    /// A text whose quoted names of fields are those of JSON.
    fn in_json(&self, text: &str) -> String {
        let parts = text.split('`').enumerate().map(|(number, part)| {
            // Error details keep the names of the protocol.
            let is_name = number % 2 == 1 && part != "oldest_sequence";
            if !is_name {
                return part.to_owned();
            }
            let names = part.split('.').map(|name| {
                if self.renamed.contains(name) { camel_case(name) } else { name.to_owned() }
            });
            names.collect::<Vec<_>>().join(".")
        });
        parts.collect::<Vec<_>>().join("`")
    }
}

/// The paragraphs of a comment, each in one line.
fn paragraphs_of(text: &str) -> Vec<String> {
    let mut paragraphs = vec![String::new()];
    for line in text.lines().map(str::trim) {
        let last = paragraphs.last_mut();
        match (last, line.is_empty()) {
            (Some(last), false) if last.is_empty() => line.clone_into(last),
            (Some(last), false) => {
                last.push(' ');
                last.push_str(line);
            }
            (_, true) => paragraphs.push(String::new()),
            (None, false) => {}
        }
    }
    paragraphs.retain(|it| !it.is_empty());
    paragraphs
}

/// The JSON between the quotation marks after a label.
fn example(paragraph: &str, label: &str) -> Option<Value> {
    let json = paragraph.strip_prefix(label)?.trim().strip_prefix('`')?.strip_suffix('`')?;
    serde_json::from_str(json).ok()
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let mut text = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        text.extend(letters.next().map(|it| it.to_ascii_uppercase()));
        text.push_str(letters.as_str());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_examples_and_names_are_read() {
        let text = " One\n two.\n\n Request: `{\"a\":\n 1}`\n";
        let paragraphs = paragraphs_of(text);
        assert_eq!(paragraphs, ["One two.", "Request: `{\"a\": 1}`"]);
        assert_eq!(example(&paragraphs[1], "Request: ").unwrap()["a"], 1);
        assert_eq!(example(&paragraphs[0], "Request: "), None);
        let renamed = ["page_token".to_owned()].into();
        let comments = Comments { texts: HashMap::new(), renamed };
        let text = "`page_token` of `a.page_token`, not page_token nor `CODE_A`";
        let expected = "`pageToken` of `a.pageToken`, not page_token nor `CODE_A`";
        assert_eq!(comments.in_json(text), expected);
    }
}
