//! Formats the numbers of date cells as dates.
//!
//! Sources: ECMA-376 part 1, 18.8.30 (number formats) and 18.17.4 (dates). Durations, which a format writes in brackets
//! (`[h]:mm`), stay numbers.

use jiff::ToSpan as _;
use jiff::civil::{Date, date};

/// The part of a number of days that a cell format shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DateStyle {
    Date,
    Time,
    DateAndTime,
}

const SECONDS_PER_DAY: i32 = 86_400;

impl DateStyle {
    /// The style of a built-in format.
    pub(crate) fn built_in(id: u32) -> Option<Self> {
        match id {
            14..=17 | 27..=31 | 36 | 50..=54 | 57 | 58 => Some(Self::Date),
            18..=21 | 32..=35 | 45 | 47 | 55 | 56 => Some(Self::Time),
            22 => Some(Self::DateAndTime),
            _ => None,
        }
    }

    /// The style of a format that a workbook defines.
    pub(crate) fn of_code(code: &str) -> Option<Self> {
        let (mut date, mut time, mut months) = (false, false, false);
        let mut characters = code.chars();
        while let Some(character) = characters.next() {
            match character.to_ascii_lowercase() {
                // The format of negative numbers comes next.
                ';' => break,
                '"' => drop(characters.by_ref().find(|&it| it == '"')),
                '\\' | '_' | '*' => drop(characters.next()),
                '[' => {
                    let inside: String = characters.by_ref().take_while(|&it| it != ']').collect();
                    if inside.chars().all(|it| matches!(it.to_ascii_lowercase(), 'h' | 'm' | 's')) {
                        return None;
                    }
                }
                'y' | 'd' => date = true,
                'h' | 's' => time = true,
                // Months, or minutes next to hours or seconds.
                'm' => months = true,
                _ => {}
            }
        }
        match (date || (months && !time), time) {
            (true, true) => Some(Self::DateAndTime),
            (true, false) => Some(Self::Date),
            (false, true) => Some(Self::Time),
            (false, false) => None,
        }
    }

    /// Formats days since the start of the calendar; `None` outside it.
    pub(crate) fn write(self, number: &str, is_1904: bool) -> Option<String> {
        let days = number.parse::<f64>().ok().filter(|days| (0.0..2_958_466.0).contains(days))?;
        // In range by the check above.
        #[expect(clippy::cast_possible_truncation)]
        let seconds = (days * f64::from(SECONDS_PER_DAY)).round() as i64;
        let of_day = seconds % i64::from(SECONDS_PER_DAY);
        let whole = seconds / i64::from(SECONDS_PER_DAY);
        let time = format!("{:02}:{:02}:{:02}", of_day / 3_600, of_day / 60 % 60, of_day % 60);
        if self == Self::Time && whole == 0 {
            return Some(time);
        }
        let start: Date = match is_1904 {
            true => date(1904, 1, 1),
            // Day 60 of the format is 29 February 1900, which never was.
            false if whole < 60 => date(1899, 12, 31),
            false => date(1899, 12, 30),
        };
        let day = start.checked_add(whole.days()).ok()?;
        Some(if self == Self::Date && of_day == 0 {
            day.to_string()
        } else {
            format!("{day}T{time}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::DateStyle::{self, Date, DateAndTime, Time};

    #[test]
    fn formats_that_show_dates() {
        for (code, expected) in [
            ("General", None),
            ("0.00", None),
            ("#,##0 \"days\"", None),
            ("0.00E+00", None),
            ("[Red]0;[Blue]-0", None),
            ("[h]:mm:ss", None),
            ("0;yyyy", None),
            ("\\d0", None),
            ("yyyy-mm-dd", Some(Date)),
            ("[$-401]d mmmm yyyy;@", Some(Date)),
            ("mmm", Some(Date)),
            ("hh:mm AM/PM", Some(Time)),
            ("DD/MM/YYYY HH:MM", Some(DateAndTime)),
        ] {
            assert_eq!(DateStyle::of_code(code), expected, "{code}");
        }
    }

    #[test]
    fn numbers_as_dates() {
        for (style, number, is_1904, expected) in [
            (Date, "45000", false, Some("2023-03-15")),
            (Date, "45000", true, Some("2027-03-16")),
            (Date, "45000.5", false, Some("2023-03-15T12:00:00")),
            (DateAndTime, "45000.999999", false, Some("2023-03-16T00:00:00")),
            (Time, "0.75", false, Some("18:00:00")),
            (Time, "45000.75", false, Some("2023-03-15T18:00:00")),
            (Date, "1", false, Some("1900-01-01")),
            (Date, "61", false, Some("1900-03-01")),
            (Date, "-1", false, None),
            (Date, "1e300", false, None),
            (Date, "NaN", false, None),
            (Date, "x", false, None),
        ] {
            assert_eq!(style.write(number, is_1904).as_deref(), expected, "{style:?} {number}");
        }
    }
}
