//! Cancels long work: [`Ticker`] counts steps and asks the caller every so many steps whether to stop.

/// The search was cancelled and has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the search was cancelled")]
pub struct Cancelled;

/// Steps between two checks. A step is a cell of a table or a row that is skipped: some nanoseconds.
const STEPS_PER_LOOK: usize = 1 << 16;

/// Steps that a word of the vocabulary counts as, because its texts are elsewhere in memory.
pub(crate) const STEPS_OF_WORD: usize = 16;

/// Counts the steps of one operation.
pub(crate) struct Ticker<'a> {
    cancelled: &'a (dyn Fn() -> bool + Sync),
    left: usize,
}

impl<'a> Ticker<'a> {
    pub(crate) fn new(cancelled: &'a (dyn Fn() -> bool + Sync)) -> Self {
        Self { cancelled, left: STEPS_PER_LOOK }
    }

    /// Counts steps; fails when the caller has cancelled.
    #[inline]
    pub(crate) fn tick(&mut self, steps: usize) -> Result<(), Cancelled> {
        match self.left.checked_sub(steps) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => self.look(),
        }
    }

    /// Asks the caller now.
    #[cold]
    pub(crate) fn look(&mut self) -> Result<(), Cancelled> {
        self.left = STEPS_PER_LOOK;
        if (self.cancelled)() { Err(Cancelled) } else { Ok(()) }
    }
}

/// For work too small to be worth cancelling.
pub(crate) const NEVER: &(dyn Fn() -> bool + Sync) = &|| false;
