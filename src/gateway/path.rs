//! Paths of requests, taken apart and decoded once; tricks with their encoding are refused.

/// A path: decoded segments, and what follows the last colon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) segments: Vec<String>,
    pub(super) verb: Option<String>,
}

impl Path {
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(raw: &str) -> Result<Self, String> {
        let rest = raw.strip_prefix('/').ok_or("it does not begin with /")?;
        let (rest, verb) = match rest.rsplit_once(':') {
            Some((rest, verb)) if !verb.contains('/') => (rest, Some(verb.to_owned())),
            _ => (rest, None),
        };
        let segments = rest.split('/').map(segment).collect::<Result<Vec<String>, String>>()?;
        Ok(Self { segments, verb })
    }
}

fn segment(raw: &str) -> Result<String, String> {
    let text = percent_decoded(raw, false)?;
    if text == "." || text == ".." {
        return Err(format!("it has the segment '{text}'"));
    }
    if text.contains(['/', '\\']) {
        return Err("a segment holds an encoded / or \\, and no name does".to_owned());
    }
    if text.chars().any(char::is_control) {
        return Err("a segment holds a control character".to_owned());
    }
    Ok(text)
}

/// Text from its percent-encoded form, decoded once; `+` is a space in a query.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn percent_decoded(raw: &str, is_query: bool) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        match byte {
            b'%' => {
                let digits = after.get(..2).and_then(|it| std::str::from_utf8(it).ok());
                let digits = digits.filter(|it| it.bytes().all(|it| it.is_ascii_hexdigit()));
                let value = digits.and_then(|it| u8::from_str_radix(it, 16).ok());
                bytes.push(value.ok_or("after % come two hexadecimal digits")?);
                rest = &after[2..];
            }
            b'+' if is_query => bytes.push(b' '),
            byte => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tricks_are_refused_and_arabic_is_not() {
        let path = Path::parse("/v1/memories/%D8%A7%3Ab:export").unwrap();
        assert_eq!(path.segments, ["v1", "memories", "\u{627}:b"]);
        assert_eq!(path.verb.as_deref(), Some("export"));
        for wrong in [
            "/v1/memories/a%2Funits",
            "/v1/memories/a%5Cb",
            "/v1/../v1",
            "/v1/%2e%2E/x",
            "/v1/%00",
            "/v1/a%0d%0ab",
            "/v1/%FF",
            "/v1/%C0%AF",
            "/v1/%",
            "/v1/%4",
            "/v1/%+1",
            "*",
        ] {
            assert!(Path::parse(wrong).is_err(), "{wrong}");
        }
        // Decoded once, not twice.
        assert_eq!(Path::parse("/%252F").unwrap().segments, ["%2F"]);
    }
}
