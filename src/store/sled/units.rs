//! Reads units from the database, joining the pieces of large records.

use crate::unit::{Unit, UnitId};

use super::database::Database;
use super::directory::damaged;
use crate::store::codec;
use crate::store::unit_codec::{self, CHUNK_BYTES};
use crate::store::{MemoryKey, StoreError};
use sled::IVec;

impl Database {
    pub(super) fn unit(&self, memory: MemoryKey, id: UnitId) -> Result<Option<Unit>, StoreError> {
        let get = |chunk| self.read(|| self.trees.units.get(codec::unit_key(memory, id, chunk)));
        self.join(memory, id, get)
    }

    /// Reads the unit whose pieces `get` returns.
    pub(super) fn join(
        &self,
        memory: MemoryKey,
        id: UnitId,
        get: impl Fn(u8) -> Result<Option<IVec>, StoreError>,
    ) -> Result<Option<Unit>, StoreError> {
        let Some(first) = get(0)? else {
            return Ok(None);
        };
        let mut joined = Vec::new();
        let mut bytes: &[u8] = &first;
        if first.len() == CHUNK_BYTES {
            joined.extend_from_slice(&first);
            for chunk in 1..=u8::MAX {
                let Some(piece) = get(chunk)? else { break };
                joined.extend_from_slice(&piece);
                if piece.len() < CHUNK_BYTES {
                    break;
                }
            }
            bytes = &joined;
        }
        unit_codec::decode_unit(memory, id, bytes).map(Some).map_err(|error| self.damage(&error))
    }

    /// The units above a number, as of [`Store::page`](crate::store::Store::page).
    pub(super) fn page(
        &self,
        memory: MemoryKey,
        after: Option<UnitId>,
        limit: usize,
    ) -> Result<Vec<Unit>, StoreError> {
        let first = match after {
            None => UnitId(0),
            Some(UnitId(u64::MAX)) => return Ok(Vec::new()),
            Some(UnitId(id)) => UnitId(id + 1),
        };
        let from = codec::unit_key(memory, first, 0);
        let to = codec::unit_key(memory, UnitId(u64::MAX), u8::MAX);
        let mut units = Vec::with_capacity(limit.min(1_000));
        let mut pieces = self.trees.units.range(from..=to);
        // The record that the next piece may continue: its first piece, and the joined pieces if there are several.
        let mut current: Option<(UnitId, IVec, Vec<u8>)> = None;
        let decode = |(id, first, joined): (UnitId, IVec, Vec<u8>)| {
            let bytes = if joined.is_empty() { &first[..] } else { &joined };
            unit_codec::decode_unit(memory, id, bytes).map_err(|error| self.damage(&error))
        };
        while units.len() < limit {
            let Some((key, bytes)) = self.read(|| pieces.next().transpose())? else {
                break;
            };
            let Some((_, id, chunk)) = codec::parse_unit_key(&key) else {
                return Err(damaged(&self.directory, "a unit has a key of the wrong length"));
            };
            if chunk == 0 {
                if let Some(whole) = current.replace((id, bytes, Vec::new())) {
                    units.push(decode(whole)?);
                }
            } else if let Some((_, first, joined)) = &mut current {
                if joined.is_empty() {
                    joined.extend_from_slice(first);
                }
                joined.extend_from_slice(&bytes);
            }
        }
        if units.len() < limit
            && let Some(whole) = current
        {
            units.push(decode(whole)?);
        }
        Ok(units)
    }
}
