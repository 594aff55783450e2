//! Names of languages and memories: BCP-47 tags in canonical case, and ids that are safe in a resource path.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::limits::{LANG_BYTES_MAX, MEMORY_NAME_BYTES_MAX};

use super::diagnostics::Invalid;

/// A BCP-47 language tag in canonical case: `ar`, `en`, `ar-SA`, `zh-Hant-TW`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Lang(String);

impl Lang {
    /// The tag as written on the wire and in files.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The language without script, region or variant: `ar` of `ar-SA`.
    ///
    /// A tag for private use, `x-…`, is a language as a whole.
    pub fn primary(&self) -> &str {
        if self.0.starts_with("x-") {
            return &self.0;
        }
        self.0.split('-').next().unwrap_or(&self.0)
    }

    /// Whether a place for `self` accepts texts in `other`: the primary languages are equal, and scripts and regions
    /// do not differ. `en` accepts `en-GB` and `en-US`, which do not accept each other.
    pub fn accepts(&self, other: &Self) -> bool {
        let agree = |a: Option<&str>, b: Option<&str>| a.is_none() || b.is_none() || a == b;
        self.primary() == other.primary()
            && agree(self.script(), other.script())
            && agree(self.region(), other.region())
    }

    fn script(&self) -> Option<&str> {
        self.subtags()
            .find(|part| part.len() == 4 && part.bytes().all(|it| it.is_ascii_alphabetic()))
    }

    fn region(&self) -> Option<&str> {
        let is_region = |part: &&str| match part.len() {
            2 => part.bytes().all(|it| it.is_ascii_alphabetic()),
            3 => part.bytes().all(|it| it.is_ascii_digit()),
            _ => false,
        };
        self.subtags().find(is_region)
    }

    /// The subtags after the primary language, without extensions.
    fn subtags(&self) -> impl Iterator<Item = &str> {
        self.0.split('-').skip(1).take_while(|part| part.len() > 1)
    }
}

impl FromStr for Lang {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid =
            || Invalid(format!("'{text}' is not a BCP-47 language tag such as ar, en or ar-SA"));
        if text.is_empty() || text.len() > LANG_BYTES_MAX {
            return Err(invalid());
        }
        let mut tag = String::with_capacity(text.len());
        // Files write `ar_SA` about as often as `ar-SA`.
        for (position, part) in text.split(['-', '_']).enumerate() {
            let alphabetic = part.bytes().all(|byte| byte.is_ascii_alphabetic());
            if part.is_empty()
                || part.len() > 8
                || !part.bytes().all(|byte| byte.is_ascii_alphanumeric())
            {
                return Err(invalid());
            }
            if position == 0 {
                let is_private = part.eq_ignore_ascii_case("x") && text.len() > 2;
                if !alphabetic || (part.len() < 2 && !is_private) {
                    return Err(invalid());
                }
                tag.push_str(&part.to_ascii_lowercase());
                continue;
            }
            tag.push('-');
            match part.len() {
                2 if alphabetic => tag.push_str(&part.to_ascii_uppercase()),
                4 if alphabetic => {
                    tag.push_str(&part[..1].to_ascii_uppercase());
                    tag.push_str(&part[1..].to_ascii_lowercase());
                }
                _ => tag.push_str(&part.to_ascii_lowercase()),
            }
        }
        Ok(Self(tag))
    }
}

/// The id of a memory: the `news` of `memories/news`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MemoryName(String);

impl MemoryName {
    /// The bare id, without the `memories/` of the resource name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The AIP resource name, `memories/news`.
    pub fn resource(&self) -> String {
        format!("memories/{}", self.0)
    }
}

impl FromStr for MemoryName {
    type Err = Invalid;

    /// Accepts the bare id and the resource name.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let id = text.strip_prefix("memories/").unwrap_or(text);
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let starts_well = id.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if !starts_well || id.len() > MEMORY_NAME_BYTES_MAX || !id.bytes().all(legal) {
            return Err(Invalid(format!(
                "'{text}' is not a memory name: 1 to {MEMORY_NAME_BYTES_MAX} ASCII letters, digits, '-', '_' or '.', \
                 beginning with a letter or digit"
            )));
        }
        Ok(Self(id.to_owned()))
    }
}

macro_rules! string_newtype {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = Invalid;

            fn try_from(text: String) -> Result<Self, Invalid> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }
    };
}
string_newtype!(Lang);
string_newtype!(MemoryName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_go_together_without_two_different_regions_or_scripts() {
        let tags = [
            "en",
            "en-GB",
            "en-US",
            "en-001",
            "zh",
            "zh-Hans",
            "zh-Hant",
            "zh-Hant-TW",
            "zh-TW",
            "zh-CN",
            "ar",
            "en-US-u-ca-gregory",
            "sl-rozaj",
        ];
        let apart = [
            ("en-GB", "en-US"),
            ("en-GB", "en-001"),
            ("en-US", "en-001"),
            ("en-GB", "en-US-u-ca-gregory"),
            ("en-001", "en-US-u-ca-gregory"),
            ("zh-Hans", "zh-Hant"),
            ("zh-Hans", "zh-Hant-TW"),
            ("zh-Hant-TW", "zh-CN"),
            ("zh-TW", "zh-CN"),
        ];
        let is_apart = |a, b| apart.contains(&(a, b)) || apart.contains(&(b, a));
        for a in tags {
            for b in tags {
                let (left, right): (Lang, Lang) = (a.parse().unwrap(), b.parse().unwrap());
                let expected = left.primary() == right.primary() && !is_apart(a, b);
                assert_eq!(left.accepts(&right), expected, "{a} and {b}");
            }
        }
    }
}
