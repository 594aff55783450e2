//! A score from 0 to 100, in integers.

use serde::{Deserialize, Serialize};

use super::diagnostics::Invalid;

/// A score in hundredths of a point, 0 to 10,000: integers, so that every machine ranks alike.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub struct Score {
    hundredths: u16,
}

impl Score {
    /// The highest score.
    pub const FULL: Self = Self { hundredths: 10_000 };
    /// The lowest score.
    pub const ZERO: Self = Self { hundredths: 0 };

    /// From hundredths of a point; `None` above 10,000.
    pub fn from_hundredths(hundredths: u32) -> Option<Self> {
        let hundredths = u16::try_from(hundredths).ok().filter(|&value| value <= 10_000)?;
        Some(Self { hundredths })
    }

    /// From points, 0.0 to 100.0, rounded to the hundredth.
    ///
    /// # Errors
    /// When the value is not a number from 0 to 100.
    pub fn from_points(points: f64) -> Result<Self, Invalid> {
        if !(0.0..=100.0).contains(&points) {
            return Err(Invalid(format!("{points} is not a score: a number from 0 to 100")));
        }
        // In range by the check above.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let hundredths = (points * 100.0).round() as u16;
        Ok(Self { hundredths })
    }

    /// Hundredths of a point, 0 to 10,000.
    pub fn hundredths(self) -> u16 {
        self.hundredths
    }

    /// Points, 0.0 to 100.0.
    pub fn points(self) -> f64 {
        f64::from(self.hundredths) / 100.0
    }

    /// Deducts hundredths, down to zero.
    #[must_use]
    pub fn minus_hundredths(self, hundredths: u32) -> Self {
        let lost = u16::try_from(hundredths).unwrap_or(u16::MAX);
        Self { hundredths: self.hundredths.saturating_sub(lost) }
    }
}
