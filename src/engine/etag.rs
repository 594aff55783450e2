//! Computes etags: short opaque strings that change with each change of a resource.

use std::cell::RefCell;

use xxhash_rust::xxh3::xxh3_64;

use crate::store::MemoryRecord;
use crate::unit::Unit;

thread_local! {
    /// Reused, because answers may hold thousands of units.
    static BYTES: RefCell<Vec<u8>> = RefCell::default();
}

/// The etag of a unit: a hash of its content. Uses do not change it, so an editor may save a unit that others have used meanwhile.
pub fn unit_etag(unit: &Unit) -> String {
    let hash = BYTES.with_borrow_mut(|bytes| {
        bytes.clear();
        let encoded = postcard::to_extend(&unit.content, std::mem::take(bytes));
        // Encoding into memory does not fail; the revision would do as well.
        *bytes = encoded.unwrap_or_else(|_| unit.content_revision().to_le_bytes().to_vec());
        xxh3_64(bytes)
    });
    format!("{hash:016x}")
}

/// The etag of a memory: its number, which is never reused, and its revision.
pub fn memory_etag(record: &MemoryRecord) -> String {
    format!("{:x}-{:x}", record.key.0, record.revision)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::unit::{Segment, Timestamp, UnitContent, UnitId, Usage};

    #[test]
    fn an_etag_changes_with_the_content_and_not_with_uses() {
        let content = UnitContent { target: Segment::plain("a"), ..UnitContent::default() };
        let unit = Unit::new(UnitId(1), 1, content);
        let used = Unit {
            revision: 2,
            usage: Usage { count: 1, last: Some(Timestamp { micros: 3 }), revisions: 1 },
            ..unit.clone()
        };
        assert_eq!(unit_etag(&unit), unit_etag(&used));
        let mut changed = unit.clone();
        changed.content.target = Segment::plain("b");
        assert_ne!(unit_etag(&unit), unit_etag(&changed));
        changed.content.target = Segment::plain("a");
        changed.content.changed = Some(Timestamp { micros: 3 });
        assert_ne!(unit_etag(&unit), unit_etag(&changed));
    }

    #[test]
    fn an_etag_changes_with_each_part_of_the_context() {
        let changes: [fn(&mut UnitContent); 6] = [
            |_| (),
            |content| content.context.previous = Some(7),
            |content| content.context.next = Some(7),
            |content| content.context.previous_target = Some(7),
            |content| content.context.next_target = Some(7),
            |content| content.context_id = "menu".to_owned(),
        ];
        let etags = changes.map(|change| {
            let mut unit = Unit::new(UnitId(1), 1, UnitContent::default());
            change(&mut unit.content);
            unit_etag(&unit)
        });
        assert_eq!(HashSet::from(etags).len(), changes.len());
    }
}
