//! The store as a whole: marks of commits, parts of backups, findings of a verification.

use crate::engine::backup::{Mark, PartSummary};
use crate::engine::{Finding, Severity, Verified};
use crate::store::Sequence;
use crate::unit::Timestamp;

use super::super::proto::{
    BackupSummary, CommitMark, FindingSeverity, VerifyFinding, VerifySummary,
};
use super::{FieldViolation, Within as _, signed, unsigned};

impl From<Mark> for CommitMark {
    fn from(mark: Mark) -> Self {
        Self {
            sequence: signed(mark.sequence.0),
            log_checksum: mark.checksum,
            commit_time: Some(mark.time.into()),
        }
    }
}

impl TryFrom<CommitMark> for Mark {
    type Error = FieldViolation;

    fn try_from(mark: CommitMark) -> Result<Self, FieldViolation> {
        let sequence = u64::try_from(mark.sequence)
            .map_err(|_| FieldViolation::new("sequence", "not a sequence: 0 or more"))?;
        let time = Timestamp::try_from(mark.commit_time.unwrap_or_default());
        let time = time.within("commit_time")?;
        Ok(Self { sequence: Sequence(sequence), checksum: mark.log_checksum, time })
    }
}

/// Without `tokens_required`.
impl From<PartSummary> for BackupSummary {
    fn from(summary: PartSummary) -> Self {
        Self {
            full: summary.full,
            after: Some(summary.after.into()),
            through: Some(summary.through.into()),
            units: signed(summary.units),
            commits: signed(summary.commits),
            tokens_required: None,
        }
    }
}

impl TryFrom<BackupSummary> for PartSummary {
    type Error = FieldViolation;

    fn try_from(summary: BackupSummary) -> Result<Self, FieldViolation> {
        Ok(Self {
            full: summary.full,
            after: Mark::try_from(summary.after.unwrap_or_default()).within("after")?,
            through: Mark::try_from(summary.through.unwrap_or_default()).within("through")?,
            units: unsigned(summary.units),
            commits: unsigned(summary.commits),
        })
    }
}

impl From<Finding> for VerifyFinding {
    fn from(finding: Finding) -> Self {
        let severity = match finding.severity {
            Severity::Damage => FindingSeverity::Damage,
            Severity::Derived => FindingSeverity::Derived,
        };
        Self { severity: severity.into(), message: finding.what }
    }
}

impl From<VerifyFinding> for Finding {
    fn from(finding: VerifyFinding) -> Self {
        let severity = match finding.severity() {
            FindingSeverity::Derived => Severity::Derived,
            FindingSeverity::Damage | FindingSeverity::Unspecified => Severity::Damage,
        };
        Self { severity, what: finding.message }
    }
}

impl From<&Verified> for VerifySummary {
    fn from(verified: &Verified) -> Self {
        Self {
            memories: signed(verified.memories),
            units: signed(verified.units),
            commits: signed(verified.commits),
            files: signed(verified.files),
            findings: signed(verified.findings.len()),
        }
    }
}
