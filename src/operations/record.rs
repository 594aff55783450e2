//! The record of an operation on disk: a version, what it is and how it ended, and a checksum.

use std::io;

use serde::{Deserialize, Serialize};

use crate::unit::Timestamp;

const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 4;

/// What never changes about an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Which call it runs, by the number that the protocol gives it.
    pub kind: i32,
    /// The id of the token that started it; `None` when no tokens were in use.
    pub owner: Option<String>,
    /// When it was started.
    pub created: Timestamp,
    /// Hash of the request and of the upload, by which a repeated request is recognized.
    pub digest: u128,
    /// Bytes of the request.
    pub request_bytes: u64,
    /// Bytes of the uploaded file, 0 when there is none.
    pub upload_bytes: u64,
}

/// How an operation ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The last answer, encoded.
    Response(Vec<u8>),
    /// The error, encoded.
    Error(Vec<u8>),
}

/// The end of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// When.
    pub time: Timestamp,
    /// How.
    pub outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) header: Header,
    pub(super) end: Option<End>,
}

impl Record {
    pub(super) fn encode(&self) -> io::Result<Vec<u8>> {
        let mut bytes = postcard::to_extend(self, vec![VERSION]).map_err(io::Error::other)?;
        let checksum = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        Ok(bytes)
    }

    pub(super) fn decode(bytes: &[u8]) -> io::Result<Self> {
        let unfit = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let (content, checksum) = bytes
            .split_last_chunk::<CHECKSUM_BYTES>()
            .ok_or_else(|| unfit("the record is too short"))?;
        if crc32fast::hash(content) != u32::from_le_bytes(*checksum) {
            return Err(unfit("the record is damaged: its checksum is wrong"));
        }
        match content.split_first() {
            Some((&VERSION, content)) => {
                postcard::from_bytes(content).map_err(|error| unfit(&error.to_string()))
            }
            _ => Err(unfit("the record was written by another version of the program")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_and_damaged_ones_are_recognized() {
        let header = Header {
            kind: 3,
            owner: Some("token".to_owned()),
            created: Timestamp { micros: -5 },
            digest: u128::MAX,
            request_bytes: 7,
            upload_bytes: 0,
        };
        let time = Timestamp { micros: 9 };
        let end = |outcome| Some(End { time, outcome });
        for end in [None, end(Outcome::Response(vec![1])), end(Outcome::Error(Vec::new()))] {
            let record = Record { header: header.clone(), end };
            let bytes = record.encode().unwrap();
            assert_eq!(Record::decode(&bytes).unwrap(), record);
            for at in 0..bytes.len() {
                let mut changed = bytes.clone();
                changed[at] ^= 1;
                assert!(Record::decode(&changed).is_err(), "byte {at}");
                assert!(Record::decode(&bytes[..at]).is_err(), "cut at {at}");
            }
        }
    }
}
