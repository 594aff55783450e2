//! Reads and writes the tables of mistakes.
//!
//! ```text
//! # What is done wrong
//! $ dhakira lookup --memory 'a b' x > /dev/full
//! < a line of standard input, with escapes \n \t \xHH and \repeat(COUNT,TEXT)
//! ? the exit code
//! the messages on standard error, up to the next title
//! ```

use std::fmt;

pub(super) struct Case {
    pub(super) title: String,
    pub(super) command: String,
    /// The lines of its input as they are written.
    written_input: Vec<String>,
    pub(super) input: Vec<u8>,
    /// Where standard output goes, if not into a pipe.
    pub(super) output: Option<String>,
    pub(super) code: i32,
    pub(super) says: String,
}

impl Case {
    /// The arguments, without the name of the program.
    pub(super) fn words(&self) -> Vec<String> {
        let command = self.command.strip_prefix("dhakira").unwrap();
        let command = command.rsplit_once(" > ").map_or(command, |(command, _)| command);
        let mut words = Vec::new();
        for (number, part) in command.split('\'').enumerate() {
            if number % 2 == 1 {
                words.push(String::from_utf8(unescaped(part)).unwrap());
            } else {
                words.extend(part.split_whitespace().map(str::to_owned));
            }
        }
        words
    }
}

impl fmt::Display for Case {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "# {}\n$ {}", self.title, self.command)?;
        for line in &self.written_input {
            writeln!(out, "< {line}")?;
        }
        writeln!(out, "? {}\n{}", self.code, self.says)
    }
}

/// The cases of a table.
pub(super) fn cases(text: &str) -> Vec<Case> {
    let parts = text.split("\n# ").map(|part| part.trim_start_matches("# "));
    parts.filter(|part| !part.trim().is_empty()).map(case).collect()
}

fn case(part: &str) -> Case {
    let (title, rest) = part.split_once('\n').unwrap();
    let mut lines = rest.lines().peekable();
    let command = lines
        .next()
        .and_then(|line| line.strip_prefix("$ "))
        .unwrap_or_else(|| panic!("{title}: no command"));
    let mut written_input = Vec::new();
    while let Some(line) = lines.next_if(|line| line.starts_with("< ")) {
        written_input.push(line[2..].to_owned());
    }
    let code =
        lines.next_if(|line| line.starts_with("? ")).map_or(0, |line| line[2..].parse().unwrap());
    let says: Vec<&str> = lines.collect();
    let input = written_input.iter().flat_map(|line| [unescaped(line), b"\n".to_vec()].concat());
    Case {
        title: title.to_owned(),
        command: command.to_owned(),
        input: input.collect(),
        written_input,
        output: command.rsplit_once(" > ").map(|(_, path)| path.to_owned()),
        code,
        says: says.join("\n").trim_end().to_owned(),
    }
}

/// Bytes as they are written in the tables.
fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(place) = rest.find('\\') {
        bytes.extend(rest[..place].bytes());
        let escape = &rest[place + 1..];
        let taken = if let Some(hex) = escape.strip_prefix('x') {
            bytes.push(u8::from_str_radix(&hex[..2], 16).unwrap());
            3
        } else if let Some(arguments) = escape.strip_prefix("repeat(") {
            let (arguments, _) = arguments.split_once(')').unwrap();
            let (count, piece) = arguments.split_once(',').unwrap();
            bytes.extend(piece.repeat(count.parse().unwrap()).bytes());
            "repeat()".len() + arguments.len()
        } else {
            bytes.push(match escape.as_bytes()[0] {
                b'n' => b'\n',
                b't' => b'\t',
                other => other,
            });
            1
        };
        rest = &escape[taken..];
    }
    bytes.extend(rest.bytes());
    bytes
}

#[test]
fn a_case_is_read_as_it_is_written() {
    let text = "# One\n$ dhakira a 'b \\repeat(3,x)' > /dev/full\n< x\\x00\\ty\n? 2\nerror: no\n  more\n\n# Two\n$ dhakira\n? 0\nsaid\n";
    let cases = cases(text);
    assert_eq!(cases.len(), 2);
    assert_eq!(cases[0].words(), ["a", "b xxx"]);
    assert_eq!((cases[0].input.as_slice(), cases[0].code), (&b"x\0\ty\n"[..], 2));
    assert_eq!(
        (cases[0].says.as_str(), cases[0].output.as_deref()),
        ("error: no\n  more", Some("/dev/full"))
    );
    let written: Vec<String> = cases.iter().map(Case::to_string).collect();
    assert_eq!(written.join("\n"), text);
}
