//! Imports: policies, counts, and what became of units.

use crate::engine::{CheckAction, DuplicatePolicy, ImportCounts, UnitOutcome};
use crate::formats::Unfinished;

use super::super::proto;
use super::{FieldViolation, signed, unsigned};

impl From<DuplicatePolicy> for proto::DuplicatePolicy {
    fn from(policy: DuplicatePolicy) -> Self {
        match policy {
            DuplicatePolicy::KeepAll => Self::KeepAll,
            DuplicatePolicy::SkipIdentical => Self::SkipIdentical,
            DuplicatePolicy::ReplaceSameSource => Self::ReplaceSameSource,
        }
    }
}

/// The field `duplicate_policy` of a header.
pub(crate) fn duplicate_policy(number: i32) -> Result<DuplicatePolicy, FieldViolation> {
    match proto::DuplicatePolicy::try_from(number) {
        Ok(proto::DuplicatePolicy::KeepAll) => Ok(DuplicatePolicy::KeepAll),
        Ok(proto::DuplicatePolicy::Unspecified | proto::DuplicatePolicy::SkipIdentical) => {
            Ok(DuplicatePolicy::SkipIdentical)
        }
        Ok(proto::DuplicatePolicy::ReplaceSameSource) => Ok(DuplicatePolicy::ReplaceSameSource),
        Err(_) => Err(FieldViolation::new("duplicate_policy", format!("{number} is not a policy"))),
    }
}

impl From<CheckAction> for proto::CheckAction {
    fn from(action: CheckAction) -> Self {
        match action {
            CheckAction::None => Self::None,
            CheckAction::Tag => Self::Tag,
            CheckAction::Reject => Self::Reject,
        }
    }
}

/// The field `check_action` of a header.
pub(crate) fn check_action(number: i32) -> Result<CheckAction, FieldViolation> {
    match proto::CheckAction::try_from(number) {
        Ok(proto::CheckAction::Unspecified | proto::CheckAction::None) => Ok(CheckAction::None),
        Ok(proto::CheckAction::Tag) => Ok(CheckAction::Tag),
        Ok(proto::CheckAction::Reject) => Ok(CheckAction::Reject),
        Err(_) => Err(FieldViolation::new("check_action", format!("{number} is not an action"))),
    }
}

/// The field `unfinished_action` of a header.
pub(crate) fn unfinished(number: i32) -> Result<Unfinished, FieldViolation> {
    use proto::UnfinishedAction;
    match UnfinishedAction::try_from(number) {
        Ok(UnfinishedAction::Unspecified | UnfinishedAction::Skip) => Ok(Unfinished::Skip),
        Ok(UnfinishedAction::Keep) => Ok(Unfinished::Keep),
        Err(_) => {
            Err(FieldViolation::new("unfinished_action", format!("there is no action {number}")))
        }
    }
}

impl From<UnitOutcome> for proto::UnitOutcome {
    fn from(outcome: UnitOutcome) -> Self {
        match outcome {
            UnitOutcome::Stored => Self::Stored,
            UnitOutcome::Replaced => Self::Replaced,
            UnitOutcome::Duplicate => Self::Duplicate,
        }
    }
}

/// Fails for a unit that was rejected.
impl TryFrom<proto::UnitOutcome> for UnitOutcome {
    type Error = FieldViolation;

    fn try_from(outcome: proto::UnitOutcome) -> Result<Self, FieldViolation> {
        match outcome {
            proto::UnitOutcome::Stored => Ok(Self::Stored),
            proto::UnitOutcome::Replaced => Ok(Self::Replaced),
            proto::UnitOutcome::Duplicate => Ok(Self::Duplicate),
            proto::UnitOutcome::Rejected | proto::UnitOutcome::Unspecified => {
                Err(FieldViolation::new("", "rejected"))
            }
        }
    }
}

impl From<ImportCounts> for proto::ImportCounts {
    fn from(counts: ImportCounts) -> Self {
        Self {
            read: signed(counts.read),
            stored: signed(counts.stored),
            replaced: signed(counts.replaced),
            duplicates: signed(counts.duplicates),
            rejected: signed(counts.rejected),
        }
    }
}

impl From<proto::ImportCounts> for ImportCounts {
    fn from(counts: proto::ImportCounts) -> Self {
        Self {
            read: unsigned(counts.read),
            stored: unsigned(counts.stored),
            replaced: unsigned(counts.replaced),
            duplicates: unsigned(counts.duplicates),
            rejected: unsigned(counts.rejected),
        }
    }
}
