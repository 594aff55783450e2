//! Path templates: `/v1/{name=memories/*/units/*}:rollback`.

use super::path::Path;

/// A path template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template {
    segments: Vec<Segment>,
    variables: Vec<Variable>,
    verb: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Any,
}

/// A field that takes some segments.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Variable {
    field: String,
    from: usize,
    to: usize,
}

impl Template {
    /// `None` when it is malformed.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut template = Self { segments: Vec::new(), variables: Vec::new(), verb: None };
        let mut rest = text.strip_prefix('/')?;
        loop {
            if let Some(inner) = rest.strip_prefix('{') {
                let (inner, after) = inner.split_once('}')?;
                let (field, pattern) = inner.split_once('=').unwrap_or((inner, "*"));
                let from = template.segments.len();
                pattern.split('/').for_each(|it| template.push(it));
                let to = template.segments.len();
                template.variables.push(Variable { field: field.to_owned(), from, to });
                rest = after;
            } else {
                let end = rest.find(['/', ':']).unwrap_or(rest.len());
                template.push(&rest[..end]);
                rest = &rest[end..];
            }
            if rest.is_empty() {
                return Some(template);
            }
            if let Some(verb) = rest.strip_prefix(':') {
                template.verb = Some(verb.to_owned());
                return Some(template);
            }
            rest = rest.strip_prefix('/')?;
        }
    }

    fn push(&mut self, segment: &str) {
        self.segments.push(match segment {
            "*" => Segment::Any,
            literal => Segment::Literal(literal.to_owned()),
        });
    }

    /// The fields that a path gives, with their values; `None` when it does not match.
    pub(super) fn matches(&self, path: &Path) -> Option<Vec<(String, String)>> {
        let is_same = |(segment, text): (&Segment, &String)| match segment {
            Segment::Any => !text.is_empty(),
            Segment::Literal(literal) => literal == text,
        };
        let fits = self.verb.as_deref() == path.verb.as_deref()
            && self.segments.len() == path.segments.len()
            && self.segments.iter().zip(&path.segments).all(is_same);
        let value = |variable: &Variable| {
            (variable.field.clone(), path.segments[variable.from..variable.to].join("/"))
        };
        fits.then(|| self.variables.iter().map(value).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched(template: &str, path: &str) -> Option<Vec<(String, String)>> {
        Template::parse(template).unwrap().matches(&Path::parse(path).unwrap())
    }

    #[test]
    fn a_variable_takes_the_segments_of_its_pattern() {
        let unit = "/v1/{name=memories/*/units/*}";
        let name = |value: &str| Some(vec![("name".to_owned(), value.to_owned())]);
        assert_eq!(matched(unit, "/v1/memories/a/units/1"), name("memories/a/units/1"));
        assert_eq!(matched(unit, "/v1/memories/%D8%A7/units/1"), name("memories/\u{627}/units/1"));
        for other in ["/v1/memories/a", "/v1/memories/a/units/1/2", "/v1/memories/a/units/1:x"] {
            assert_eq!(matched(unit, other), None, "{other}");
        }
        let verb = "/v1/{name=memories/*/units/*}:rollback";
        assert_eq!(matched(verb, "/v1/memories/a/units/1:rollback"), name("memories/a/units/1"));
        assert_eq!(matched(verb, "/v1/memories/a/units/1"), None);
        assert_eq!(matched("/v1/store:verify", "/v1/store:verify"), Some(Vec::new()));
    }

    #[test]
    fn a_template_that_is_none_is_refused() {
        for text in ["", "v1", "/v1/{name", "/v1/{name=a/*}x"] {
            assert_eq!(Template::parse(text), None, "{text}");
        }
    }
}
