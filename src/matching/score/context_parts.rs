//! The parts of a context, and sets of them.

/// A part of the context in which a query and a stored segment can agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ContextPart {
    /// The source before.
    PreviousSource,
    /// The source after.
    NextSource,
    /// The target before.
    PreviousTarget,
    /// The target after.
    NextTarget,
    /// The context id.
    ContextId,
    /// The document.
    Document,
}

impl ContextPart {
    /// Every part.
    pub const ALL: [Self; 6] = [
        Self::PreviousSource,
        Self::NextSource,
        Self::PreviousTarget,
        Self::NextTarget,
        Self::ContextId,
        Self::Document,
    ];

    /// A stable lower-case name for users and programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::PreviousSource => "previous-source",
            Self::NextSource => "next-source",
            Self::PreviousTarget => "previous-target",
            Self::NextTarget => "next-target",
            Self::ContextId => "context-id",
            Self::Document => "document",
        }
    }
}

/// The parts of the context that agree.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct AgreedContexts(u8);

impl AgreedContexts {
    /// Whether a part agrees.
    pub fn contains(self, part: ContextPart) -> bool {
        self.0 >> part as u8 & 1 == 1
    }

    /// The parts that agree, in order.
    pub fn iter(self) -> impl Iterator<Item = ContextPart> {
        ContextPart::ALL.into_iter().filter(move |part| self.contains(*part))
    }
}

impl FromIterator<ContextPart> for AgreedContexts {
    fn from_iter<T: IntoIterator<Item = ContextPart>>(parts: T) -> Self {
        Self(parts.into_iter().fold(0, |bits, part| bits | 1 << part as u8))
    }
}
