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

    /// The fields that paths give.
    pub(super) fn fields(&self) -> Vec<String> {
        self.variables.iter().map(|it| it.field.clone()).collect()
    }

    /// The segments that vary: the name of what the segment before is a list of, the field that it is part of, and its place
    /// in the value of that field.
    pub(super) fn variations(&self) -> Vec<(&str, &str, usize)> {
        let mut all = Vec::new();
        for variable in &self.variables {
            for at in (variable.from..variable.to).filter(|at| self.segments[*at] == Segment::Any) {
                all.push((self.name_of(at), variable.field.as_str(), at - variable.from));
            }
        }
        all
    }

    /// `/v1/memories/{memory}/units/{unit}:rollback`.
    pub(super) fn named(&self) -> String {
        let mut text = String::new();
        for (at, segment) in self.segments.iter().enumerate() {
            match segment {
                Segment::Literal(literal) => text.extend(["/", literal]),
                Segment::Any => text.extend(["/{", self.name_of(at), "}"]),
            }
        }
        if let Some(verb) = &self.verb {
            text.extend([":", verb]);
        }
        text
    }

    /// What a segment that varies is called.
    fn name_of(&self, at: usize) -> &str {
        let before = at.checked_sub(1).and_then(|before| self.segments.get(before));
        match before {
            Some(Segment::Literal(plural)) => match plural.as_str() {
                "memories" => "memory",
                other => other.strip_suffix('s').unwrap_or(other),
            },
            _ => "name",
        }
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
    fn segments_that_vary_have_names() {
        let unit = Template::parse("/v1/{unit.name=memories/*/units/*}:rollback").unwrap();
        assert_eq!(unit.named(), "/v1/memories/{memory}/units/{unit}:rollback");
        assert_eq!(unit.variations(), [("memory", "unit.name", 1), ("unit", "unit.name", 3)]);
        assert_eq!(Template::parse("/v1/store:verify").unwrap().named(), "/v1/store:verify");
    }

    #[test]
    fn a_template_that_is_none_is_refused() {
        for text in ["", "v1", "/v1/{name", "/v1/{name=a/*}x"] {
            assert_eq!(Template::parse(text), None, "{text}");
        }
    }
}
