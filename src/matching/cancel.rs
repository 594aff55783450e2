//! Stops long work soon after its caller has given up: work is counted, and the caller's flag is read at every so many steps.

/// The search was cancelled; it has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the search was cancelled")]
pub struct Cancelled;

/// Steps between two looks at the flag. A step is a cell of a table or a row that is passed over: some nanoseconds.
const STEPS_PER_LOOK: usize = 1 << 16;

/// What a word of the vocabulary counts for: its texts are elsewhere in memory.
pub(crate) const STEPS_OF_WORD: usize = 16;

/// Counts the steps of one piece of work.
pub(crate) struct Ticker<'a> {
    cancelled: &'a (dyn Fn() -> bool + Sync),
    left: usize,
}

impl<'a> Ticker<'a> {
    pub(crate) fn new(cancelled: &'a (dyn Fn() -> bool + Sync)) -> Self {
        Self { cancelled, left: STEPS_PER_LOOK }
    }

    /// Counts steps; fails when the caller has given up.
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

    /// Reads the flag now.
    #[cold]
    pub(crate) fn look(&mut self) -> Result<(), Cancelled> {
        self.left = STEPS_PER_LOOK;
        if (self.cancelled)() { Err(Cancelled) } else { Ok(()) }
    }
}

/// For work so small that nobody waits for its end.
pub(crate) const NEVER: &(dyn Fn() -> bool + Sync) = &|| false;
