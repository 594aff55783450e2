//! Stores one value for each row in as few bytes as the values allow: none when all are equal, one or two when few are distinct.
//!
//! Knows nothing of what the values mean.

use std::collections::HashMap;
use std::hash::Hash;
use std::io::{self, Read, Write};

use foldhash::fast::FixedState;

use super::array_codec::{ArrayReader, ArrayWriter, Element, damaged};

/// Values by row.
#[derive(Debug, Clone)]
pub(crate) enum Column<T> {
    /// All rows have this value.
    Same { value: T, rows: usize },
    /// The distinct values, and the number of that of each row.
    Few { values: Vec<T>, numbers: Numbers },
    /// The value of each row.
    Each(Vec<T>),
}

/// Numbers below 256, or below 65,536.
#[derive(Debug, Clone)]
pub(crate) enum Numbers {
    Bytes(Vec<u8>),
    Pairs(Vec<u16>),
}

/// Columns with fewer rows are not worth a list of distinct values.
const PACKED_ROWS_MIN: usize = 1_024;
const DISTINCT_MAX: usize = 1 << 16;

impl<T: Default> Default for Column<T> {
    fn default() -> Self {
        Self::Same { value: T::default(), rows: 0 }
    }
}

impl<T: Copy + Eq + Hash> Column<T> {
    pub(crate) fn push(&mut self, value: T) {
        match self {
            Self::Same { value: same, rows } if *rows == 0 || *same == value => {
                (*same, *rows) = (value, *rows + 1);
            }
            Self::Each(values) => values.push(value),
            Self::Same { .. } | Self::Few { .. } => {
                let mut values = Vec::with_capacity(2 * self.len());
                values.extend(self.iter());
                values.push(value);
                *self = Self::Each(values);
            }
        }
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Same { rows, .. } => *rows,
            Self::Few { numbers, .. } => numbers.len(),
            Self::Each(values) => values.len(),
        }
    }

    #[inline]
    pub(crate) fn get(&self, row: usize) -> T {
        match self {
            Self::Same { value, .. } => *value,
            Self::Few { values, numbers } => values[numbers.get(row)],
            Self::Each(values) => values[row],
        }
    }

    fn iter(&self) -> impl Iterator<Item = T> {
        (0..self.len()).map(|row| self.get(row))
    }

    /// The same values in the smallest form.
    pub(crate) fn packed(self) -> Self {
        let Self::Each(mut each) = self else { return self };
        if let Some((values, numbers)) = distinct(&each) {
            return Self::Few { values, numbers };
        }
        each.shrink_to_fit();
        Self::Each(each)
    }

    /// Size in memory.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Same { .. } => 0,
            Self::Few { values, numbers } => size_of::<T>() * values.capacity() + numbers.bytes(),
            Self::Each(values) => size_of::<T>() * values.capacity(),
        }
    }
}

/// The distinct values of a column, and their numbers by row; `None` where they are too many, or the rows too few.
fn distinct<T: Copy + Eq + Hash>(each: &[T]) -> Option<(Vec<T>, Numbers)> {
    if each.len() < PACKED_ROWS_MIN {
        return None;
    }
    // More distinct values than this would take more than they save.
    let most = DISTINCT_MAX.min(each.len() / 4);
    let mut known: HashMap<T, u16, FixedState> = HashMap::default();
    let mut values = Vec::new();
    let mut numbers = Vec::with_capacity(each.len());
    for &value in each {
        let number = match known.get(&value) {
            Some(&number) => number,
            None if values.len() == most => return None,
            None => {
                let number = u16::try_from(values.len()).ok()?;
                values.push(value);
                known.insert(value, number);
                number
            }
        };
        numbers.push(number);
    }
    let bytes: Option<Vec<u8>> = (values.len() <= 1 << 8)
        .then(|| numbers.iter().filter_map(|&number| u8::try_from(number).ok()).collect());
    let numbers = bytes.map_or(Numbers::Pairs(numbers), Numbers::Bytes);
    values.shrink_to_fit();
    Some((values, numbers))
}

impl Numbers {
    fn len(&self) -> usize {
        match self {
            Self::Bytes(numbers) => numbers.len(),
            Self::Pairs(numbers) => numbers.len(),
        }
    }

    #[inline]
    fn get(&self, row: usize) -> usize {
        match self {
            Self::Bytes(numbers) => numbers[row].into(),
            Self::Pairs(numbers) => numbers[row].into(),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Bytes(numbers) => numbers.capacity(),
            Self::Pairs(numbers) => 2 * numbers.capacity(),
        }
    }
}

const SAME: u8 = 0;
const FEW_BYTES: u8 = 1;
const FEW_PAIRS: u8 = 2;
const EACH: u8 = 3;

impl<T: Copy + Eq + Hash + Element> Column<T> {
    pub(crate) fn write(&self, out: &mut ArrayWriter<impl Write>) -> io::Result<()> {
        match self {
            Self::Same { value, .. } => {
                out.array(&[SAME])?;
                out.array(&[*value])
            }
            Self::Few { values, numbers } => {
                let kind = if matches!(numbers, Numbers::Bytes(_)) { FEW_BYTES } else { FEW_PAIRS };
                out.array(&[kind])?;
                out.array(values)?;
                match numbers {
                    Numbers::Bytes(numbers) => out.array(numbers),
                    Numbers::Pairs(numbers) => out.array(numbers),
                }
            }
            Self::Each(values) => {
                out.array(&[EACH])?;
                out.array(values)
            }
        }
    }

    /// Reads a column of `rows` rows.
    pub(crate) fn read(rows: usize, input: &mut ArrayReader<impl Read>) -> io::Result<Self> {
        let kind = input.array::<u8>()?;
        let values = input.array::<T>()?;
        let column = match (kind.as_slice(), values.as_slice()) {
            ([SAME], &[value]) => Self::Same { value, rows },
            ([FEW_BYTES], _) => Self::Few { values, numbers: Numbers::Bytes(input.array()?) },
            ([FEW_PAIRS], _) => Self::Few { values, numbers: Numbers::Pairs(input.array()?) },
            ([EACH], _) => Self::Each(values),
            _ => return Err(damaged("a column of an unknown kind")),
        };
        let fits = match &column {
            Self::Few { values, numbers } => {
                (0..numbers.len()).all(|row| numbers.get(row) < values.len())
            }
            Self::Same { .. } | Self::Each(_) => true,
        };
        if fits && column.len() == rows {
            Ok(column)
        } else {
            Err(damaged("a column that does not fit"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[u32], is_kind: fn(&Column<u32>) -> bool) {
        let mut column = Column::default();
        for &value in values {
            column.push(value);
        }
        assert_eq!(column.iter().collect::<Vec<_>>(), values);
        let packed = column.packed();
        assert!(is_kind(&packed), "{} rows", values.len());
        assert_eq!(packed.iter().collect::<Vec<_>>(), values);
        let mut writer = ArrayWriter::new(Vec::new());
        packed.write(&mut writer).unwrap();
        let written = writer.finish().unwrap();
        let reader = || ArrayReader::new(&written[..], written.len() as u64);
        let read = Column::<u32>::read(values.len(), &mut reader()).unwrap();
        assert_eq!(read.iter().collect::<Vec<_>>(), values);
        if !matches!(packed, Column::Same { .. }) {
            assert!(Column::<u32>::read(values.len() + 1, &mut reader()).is_err());
        }
        // A packed column grows like any other.
        let mut grown = packed;
        grown.push(7);
        assert_eq!(grown.iter().collect::<Vec<_>>(), [values, &[7]].concat());
    }

    #[test]
    fn every_form_holds_the_values_it_was_given() {
        check(&[], |it| matches!(it, Column::Same { .. }));
        check(&[5; 3_000], |it| matches!(it, Column::Same { .. }));
        let of =
            |rows: u32, distinct: u32| (0..rows).map(|row| row * 7 % distinct).collect::<Vec<_>>();
        check(&of(100, 3), |it| matches!(it, Column::Each(_)));
        let bytes = |it: &Column<u32>| matches!(it, Column::Few { numbers: Numbers::Bytes(_), .. });
        check(&of(3_000, 2), bytes);
        check(&of(3_000, 256), bytes);
        let pairs = |it: &Column<u32>| matches!(it, Column::Few { numbers: Numbers::Pairs(_), .. });
        check(&of(3_000, 257), pairs);
        check(&of(300_000, 65_536), pairs);
        check(&of(300_000, 65_537), |it| matches!(it, Column::Each(_)));
        check(&of(3_000, 2_999), |it| matches!(it, Column::Each(_)));
    }

    #[test]
    fn numbers_without_a_value_are_damage() {
        let mut writer = ArrayWriter::new(Vec::new());
        writer.array(&[FEW_BYTES]).unwrap();
        writer.array(&[1_u32, 2]).unwrap();
        writer.array(&[0_u8, 1, 2]).unwrap();
        let written = writer.finish().unwrap();
        let mut reader = ArrayReader::new(&written[..], written.len() as u64);
        assert!(Column::<u32>::read(3, &mut reader).is_err());
    }
}
