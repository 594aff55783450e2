//! Evaluates the expression of `Plural-Forms`, which is C with one variable.
//!
//! The grammar is that of the GNU gettext manual, "Additional functions for plural forms": numbers, `n`, parentheses and the
//! operators below, on unsigned integers.

/// Longest expression; those of real languages have some 200 bytes.
const BYTES_MAX: usize = 1_000;
/// Deepest nesting of an expression.
const DEPTH_MAX: usize = 50;

/// The form for a number, by a value such as `nplurals=2; plural=n != 1;`; `None` if it is invalid or divides by zero.
pub(crate) fn form_of(plural_forms: &str, n: u64) -> Option<u64> {
    let expression = plural_forms.split(';').find_map(|part| {
        part.trim_start().strip_prefix("plural")?.trim_start().strip_prefix('=')
    })?;
    if expression.len() > BYTES_MAX {
        return None;
    }
    let mut parser = Parser { rest: expression.trim(), n, depth: 0 };
    let value = parser.choice()?;
    parser.rest.is_empty().then_some(value)?
}

/// Binary operators by precedence, the loosest first; longer ones first in each level.
const LEVELS: [&[&str]; 6] =
    [&["||"], &["&&"], &["==", "!="], &["<=", ">=", "<", ">"], &["+", "-"], &["*", "/", "%"]];

/// Evaluates while it parses. A division by zero only counts where its value is used.
struct Parser<'a> {
    rest: &'a str,
    n: u64,
    depth: usize,
}

/// The value of a part of the expression; `None` after a division by zero.
type Value = Option<u64>;

impl<'a> Parser<'a> {
    /// The outer `Option` is `None` for a syntax error.
    fn choice(&mut self) -> Option<Value> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return None;
        }
        let condition = self.binary(0)?;
        let value = if self.take("?") {
            let then = self.choice()?;
            if !self.take(":") {
                return None;
            }
            let otherwise = self.choice()?;
            condition.and_then(|it| if it == 0 { otherwise } else { then })
        } else {
            condition
        };
        self.depth -= 1;
        Some(value)
    }

    fn binary(&mut self, level: usize) -> Option<Value> {
        let Some(operators) = LEVELS.get(level) else {
            return self.unary();
        };
        let mut left = self.binary(level + 1)?;
        while let Some(operator) = operators.iter().find(|operator| self.take(operator)) {
            let right = self.binary(level + 1)?;
            left = match (*operator, left, right) {
                ("||", Some(1..), _) => Some(1),
                ("&&", Some(0), _) => Some(0),
                (_, Some(left), Some(right)) => apply(operator, left, right),
                _ => None,
            };
        }
        Some(left)
    }

    fn unary(&mut self) -> Option<Value> {
        let mut negations = 0;
        while self.take("!") {
            negations += 1;
        }
        let value = self.primary()?;
        Some((0..negations).fold(value, |value, _| value.map(|it| u64::from(it == 0))))
    }

    fn primary(&mut self) -> Option<Value> {
        if self.take("n") {
            return Some(Some(self.n));
        }
        if self.take("(") {
            let value = self.choice()?;
            return self.take(")").then_some(value);
        }
        let end = self.rest.find(|it: char| !it.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        digits.parse().ok().map(Some)
    }

    /// Consumes a token if it comes next.
    fn take(&mut self, token: &str) -> bool {
        let rest: Option<&'a str> = self.rest.strip_prefix(token);
        // `!=` is not `!`.
        let found = rest.filter(|rest| token != "!" || !rest.starts_with('='));
        if let Some(rest) = found {
            self.rest = rest.trim_start();
        }
        found.is_some()
    }
}

fn apply(operator: &str, left: u64, right: u64) -> Value {
    Some(match operator {
        "||" => u64::from(left != 0 || right != 0),
        "&&" => u64::from(left != 0 && right != 0),
        "==" => u64::from(left == right),
        "!=" => u64::from(left != right),
        "<=" => u64::from(left <= right),
        ">=" => u64::from(left >= right),
        "<" => u64::from(left < right),
        ">" => u64::from(left > right),
        "+" => left.wrapping_add(right),
        "-" => left.wrapping_sub(right),
        "*" => left.wrapping_mul(right),
        "/" => left.checked_div(right)?,
        _ => left.checked_rem(right)?,
    })
}

#[cfg(test)]
mod tests {
    use super::form_of;

    #[test]
    fn forms_are_those_of_the_languages() {
        let arabic = "nplurals=6; plural=(n==0 ? 0 : n==1 ? 1 : n==2 ? 2 : n%100>=3 && n%100<=10 ? 3 : n%100>=11 ? 4 : 5);";
        for (n, form) in
            [(0, 0), (1, 1), (2, 2), (3, 3), (110, 3), (11, 4), (199, 4), (100, 5), (202, 5)]
        {
            assert_eq!(form_of(arabic, n), Some(form), "{n}");
        }
        for (expression, one, five) in [
            ("nplurals=2; plural=n != 1;", 0, 1),
            ("nplurals=2; plural=(n > 1)", 0, 1),
            ("nplurals=1; plural=0;", 0, 0),
            (" plural = !( n == 1 ) ; nplurals=2", 0, 1),
            ("plural=!!n-1", 0, 0),
            ("plural=n==1||n/0 ? 3 : 4", 3, 4),
            ("plural=2+3*4-n%2", 13, 13),
            (
                "nplurals=3; plural=n%10==1 && n%100!=11 ? 0 : n%10>=2 && n%10<=4 && (n%100<10 || n%100>=20) ? 1 : 2;",
                0,
                2,
            ),
        ] {
            assert_eq!(form_of(expression, 1), Some(one), "{expression}");
            let expected = (!expression.contains("/0")).then_some(five);
            assert_eq!(form_of(expression, 5), expected, "{expression}");
        }
    }

    #[test]
    fn what_is_no_expression_gives_no_form() {
        for text in [
            "nplurals=INTEGER; plural=EXPRESSION;",
            "nplurals=2",
            "plural=",
            "plural=n ? 1",
            "plural=(n",
            "plural=n n",
            "plural=1/0",
            "plural=99999999999999999999",
            "plural=\u{661}",
        ] {
            assert_eq!(form_of(text, 1), None, "{text}");
        }
        let deep = format!("plural={}n{}", "(".repeat(400), ")".repeat(400));
        assert_eq!(form_of(&deep, 1), None);
        let long = format!("plural=n{}", "+n".repeat(1_000_000));
        assert_eq!(form_of(&long, 1), None);
    }
}
