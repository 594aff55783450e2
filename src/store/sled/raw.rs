//! Reads the files of a sled 0.34 database without sled, skipping damaged parts.
//!
//! The file `db` is a sequence of segments of one size. A segment has a header with its number in the log, then messages: each
//! replaces a page of a tree, changes one key of it, or frees it. Applying the messages in the order of the log gives the pages.
//! Entries of a message that fails its checksum are kept apart: every record of ours has its own checksum.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::blobs::BLOBS;

/// sled's default segment size, which this program never changes.
pub(super) const SEGMENT_BYTES: usize = 512 * 1024;
pub(super) const SEGMENT_HEADER_BYTES: usize = 20;
/// Longest message header.
pub(super) const MESSAGE_HEADER_BYTES_MAX: usize = 32;
/// Shortest message header: checksum, kind, and three one-byte numbers.
pub(super) const MESSAGE_HEADER_BYTES_MIN: usize = 8;
/// Checksum and kind at the start of the file of a large message.
const BLOB_HEADER_BYTES: usize = 5;

/// Message kinds, as numbered by sled.
pub(super) mod kind {
    pub(in super::super) const CANCELED: u8 = 1;
    pub(in super::super) const CAP: u8 = 2;
    pub(in super::super) const BATCH_MANIFEST: u8 = 3;
    pub(in super::super) const FREE: u8 = 4;
    pub(in super::super) const INLINE_NODE: u8 = 8;
    pub(in super::super) const BLOB_NODE: u8 = 9;
    pub(in super::super) const INLINE_LINK: u8 = 10;
    pub(in super::super) const BLOB_LINK: u8 = 11;
}

/// The location of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The number of the file of a large message; `None` for the file `db`.
    blob: Option<i64>,
    offset: u64,
    pub(super) length: u32,
}

/// The content of a database's files.
pub(super) struct RawDatabase {
    file: File,
    directory: PathBuf,
    pages: HashMap<u64, Leaf>,
    /// Keys and values from messages that fail their checksum, and values whose key is known only in part.
    pub(super) loose: Vec<(Vec<u8>, Place)>,
    /// Ranges of the file that could not be read.
    pub(super) damaged_ranges: u64,
}

/// A page of keys and values; the keys without their common prefix.
#[derive(Default)]
struct Leaf {
    prefix: Vec<u8>,
    entries: BTreeMap<Box<[u8]>, Place>,
}

/// A segment: its number in the log, and its index in the file.
struct Segment {
    number: u64,
    index: u64,
}

pub(super) struct Message {
    pub(super) kind: u8,
    pub(super) page: u64,
    /// Range within the segment.
    pub(super) body: Range<usize>,
}

impl RawDatabase {
    /// Reads the files in a sled directory, without writing to it.
    pub(super) fn read(directory: &Path) -> io::Result<Self> {
        let file = File::open(directory.join("db"))?;
        let mut database = Self {
            file,
            directory: directory.to_owned(),
            pages: HashMap::new(),
            loose: Vec::new(),
            damaged_ranges: 0,
        };
        let mut segments = database.segments()?;
        segments.sort_by_key(|segment| segment.number);
        let end = segments.last().map_or(Ok(0), |last| database.end_of(last))?;
        for segment in &segments {
            if !database.apply_segment(segment, end)? {
                break;
            }
        }
        Ok(database)
    }

    /// Every key of every page, with its value.
    pub(super) fn entries(&self) -> impl Iterator<Item = (Vec<u8>, Place)> + '_ {
        self.pages.values().flat_map(|leaf| {
            leaf.entries.iter().map(|(key, place)| ([&leaf.prefix, &key[..]].concat(), *place))
        })
    }

    /// The bytes at a place.
    pub(super) fn value(&self, place: Place) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; place.length as usize];
        match place.blob {
            None => self.file.read_exact_at(&mut bytes, place.offset)?,
            Some(id) => File::open(self.blob(id))?.read_exact_at(&mut bytes, place.offset)?,
        }
        Ok(bytes)
    }

    fn blob(&self, id: i64) -> PathBuf {
        self.directory.join(BLOBS).join(id.to_string())
    }

    fn segments(&mut self) -> io::Result<Vec<Segment>> {
        let bytes = self.file.metadata()?.len();
        let mut segments = Vec::new();
        for index in 0..bytes.div_ceil(SEGMENT_BYTES as u64) {
            let buffer = read_segment(&self.file, index)?;
            match segment_number(&buffer) {
                Some(number) => segments.push(Segment { number, index }),
                None if buffer.iter().all(|byte| *byte == 0) => {}
                None => {
                    self.damaged_ranges += 1;
                    // Every message names its segment.
                    let from = SEGMENT_HEADER_BYTES.min(buffer.len());
                    let found = (from..buffer.len()).find_map(|at| message(&buffer, at, None));
                    segments.extend(found.map(|(_, number)| Segment { number, index }));
                }
            }
        }
        Ok(segments)
    }

    /// The end of a segment's last message, as a byte position in the log.
    fn end_of(&self, segment: &Segment) -> io::Result<u64> {
        let buffer = read_segment(&self.file, segment.index)?;
        let mut end = SEGMENT_HEADER_BYTES;
        walk(&buffer, segment.number, &mut |step| {
            if let Step::Message(message) = step {
                end = message.body.end;
            }
            true
        });
        Ok(segment.number * SEGMENT_BYTES as u64 + end as u64)
    }

    /// Applies the messages of a segment; `false` where the log ends within a transaction, which is then ignored.
    fn apply_segment(&mut self, segment: &Segment, end: u64) -> io::Result<bool> {
        let buffer = read_segment(&self.file, segment.index)?;
        let offset = segment.index * SEGMENT_BYTES as u64;
        let mut is_whole = true;
        walk(&buffer, segment.number, &mut |step| {
            match step {
                Step::Message(it) if it.kind == kind::BATCH_MANIFEST => {
                    let until =
                        buffer[it.body].first_chunk().map_or(0, |it| i64::from_le_bytes(*it));
                    is_whole = u64::try_from(until).unwrap_or_default() <= end;
                }
                Step::Message(message) => self.apply(&buffer, offset, &message),
                Step::Damaged(at) => {
                    self.damaged_ranges += 1;
                    self.take_loose(&buffer, offset, at);
                }
            }
            is_whole
        });
        Ok(is_whole)
    }

    fn apply(&mut self, buffer: &[u8], offset: u64, message: &Message) {
        let body = &buffer[message.body.clone()];
        let at = offset + message.body.start as u64;
        match message.kind {
            kind::FREE => drop(self.pages.remove(&message.page)),
            kind::INLINE_NODE => self.replace(message.page, body, Source { blob: None, at }),
            kind::INLINE_LINK => self.change(message.page, body, Source { blob: None, at }),
            kind::BLOB_NODE | kind::BLOB_LINK => {
                let Some(id) = body.first_chunk().map(|id| i64::from_le_bytes(*id)) else { return };
                let Some(content) = self.blob_content(id, message.kind) else {
                    self.damaged_ranges += 1;
                    return;
                };
                let source = Source { blob: Some(id), at: BLOB_HEADER_BYTES as u64 };
                if message.kind == kind::BLOB_NODE {
                    self.replace(message.page, &content, source);
                } else {
                    self.change(message.page, &content, source);
                }
            }
            _ => {}
        }
    }

    /// Reads a large message, without verifying its checksum: its records have their own.
    fn blob_content(&self, id: i64, expected: u8) -> Option<Vec<u8>> {
        let mut bytes = fs::read(self.blob(id)).ok()?;
        let kind = *bytes.get(BLOB_HEADER_BYTES - 1)?;
        if kind != expected {
            return None;
        }
        Some(bytes.split_off(BLOB_HEADER_BYTES))
    }

    fn replace(&mut self, page: u64, body: &[u8], source: Source) {
        match Node::parse(body) {
            Some(node) if node.is_leaf && node.is_whole => {
                let place = |value: &Range<usize>| source.place(value);
                let entries = node.keys.iter().zip(&node.values);
                let entries = entries.map(|(key, value)| (body[key.clone()].into(), place(value)));
                let leaf = Leaf { prefix: node.prefix.clone(), entries: entries.collect() };
                self.pages.insert(page, leaf);
            }
            Some(node) if node.is_leaf => self.keep_loose(body, &node, source),
            _ => drop(self.pages.remove(&page)),
        }
    }

    fn change(&mut self, page: u64, body: &[u8], source: Source) {
        let Some(link) = Link::parse(body) else { return };
        let leaf = self.pages.get_mut(&page);
        match (link, leaf) {
            (Link::Set(key, value), Some(leaf)) => {
                leaf.entries.insert(body[key].into(), source.place(&value));
            }
            (Link::Set(key, value), None) => {
                self.loose.push((body[key].to_vec(), source.place(&value)));
            }
            (Link::Delete(key), Some(leaf)) => drop(leaf.entries.remove(&body[key])),
            (Link::Delete(_), None) => {}
        }
    }

    fn keep_loose(&mut self, body: &[u8], node: &Node, source: Source) {
        for (key, value) in node.keys.iter().zip(&node.values) {
            let key = [&node.prefix, &body[key.clone()]].concat();
            self.loose.push((key, source.place(value)));
        }
    }

    /// Collects entries from a message that fails its checksum. Every possible start of its body is tried, since the header that
    /// determines it may be damaged.
    fn take_loose(&mut self, buffer: &[u8], offset: u64, at: usize) {
        for start in at + MESSAGE_HEADER_BYTES_MIN..at + MESSAGE_HEADER_BYTES_MAX {
            let Some(body) = buffer.get(start..) else { return };
            let source = Source { blob: None, at: offset + start as u64 };
            let node = Node::parse(body).filter(|it| it.is_leaf && !it.values.is_empty());
            // Other bytes may parse as a node with one key.
            if let Some(node) = node.filter(|it| it.is_whole || it.values.len() > 1) {
                self.keep_loose(body, &node, source);
            }
            if let Some(Link::Set(key, value)) = Link::parse(body)
                && !value.is_empty()
            {
                self.loose.push((body[key].to_vec(), source.place(&value)));
            }
        }
    }
}

/// The bytes of a segment; the last one of a file may be shorter.
pub(super) fn read_segment(file: &File, index: u64) -> io::Result<Vec<u8>> {
    let offset = index * SEGMENT_BYTES as u64;
    let left = file.metadata()?.len().saturating_sub(offset);
    let length = usize::try_from(left).map_or(SEGMENT_BYTES, |left| left.min(SEGMENT_BYTES));
    let mut buffer = vec![0; length];
    file.read_exact_at(&mut buffer, offset)?;
    Ok(buffer)
}

/// The location of a message body.
#[derive(Clone, Copy)]
struct Source {
    blob: Option<i64>,
    at: u64,
}

impl Source {
    fn place(self, value: &Range<usize>) -> Place {
        let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
        Place { blob: self.blob, offset: self.at + value.start as u64, length }
    }
}

enum Step {
    Message(Message),
    /// No valid message begins here.
    Damaged(usize),
}

/// Visits the messages of a segment until `visit` returns `false`.
fn walk(buffer: &[u8], number: u64, visit: &mut dyn FnMut(Step) -> bool) {
    let mut at = SEGMENT_HEADER_BYTES;
    while at + MESSAGE_HEADER_BYTES_MIN <= buffer.len() {
        if let Some((message, _)) = message(buffer, at, Some(number)) {
            at = message.body.end;
            if message.kind == kind::CAP || !visit(Step::Message(message)) {
                return;
            }
            continue;
        }
        // Past the end of the log are zeros, or messages of an older segment, which have another number.
        if buffer[at..].iter().all(|byte| *byte == 0) || !visit(Step::Damaged(at)) {
            return;
        }
        let next = (at + 1..buffer.len()).find(|&at| message(buffer, at, Some(number)).is_some());
        let Some(next) = next else { return };
        at = next;
    }
}

/// Parses the message at a position of a segment; returns it with its segment number. `None` where no message passes its checksum.
pub(super) fn message(buffer: &[u8], at: usize, number: Option<u64>) -> Option<(Message, u64)> {
    let header = buffer.get(at..)?;
    let kind = *header.get(4)?;
    if !(kind::CANCELED..=kind::BLOB_LINK).contains(&kind) {
        return None;
    }
    let mut reader = Reader { bytes: header, at: 5 };
    let (length, found) = (reader.length()?, reader.number()?);
    if number.is_some_and(|number| number != found) {
        return None;
    }
    let page = reader.number()?;
    let start = reader.at;
    let body = header.get(start..start.checked_add(length)?)?;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(body);
    hasher.update(&header[4..start]);
    let checksum = u32::from_le_bytes(*header.first_chunk()?);
    if hasher.finalize() ^ u32::MAX != checksum {
        return None;
    }
    Some((Message { kind, page, body: at + start..at + start + length }, found))
}

/// Parses the number of a segment from its header.
pub(super) fn segment_number(buffer: &[u8]) -> Option<u64> {
    let header: &[u8; SEGMENT_HEADER_BYTES] = buffer.first_chunk()?;
    let (checksum, rest) = header.split_first_chunk::<4>()?;
    if u32::from_le_bytes(*checksum) ^ u32::MAX != crc32fast::hash(rest) {
        return None;
    }
    let lsn = i64::from_le_bytes(*rest.first_chunk()?) ^ i64::MAX;
    let lsn = u64::try_from(lsn).ok()?;
    lsn.is_multiple_of(SEGMENT_BYTES as u64).then_some(lsn / SEGMENT_BYTES as u64)
}

/// A parsed page; ranges are relative to the message's body.
struct Node {
    prefix: Vec<u8>,
    is_leaf: bool,
    keys: Vec<Range<usize>>,
    /// Fewer than keys if the message is truncated.
    values: Vec<Range<usize>>,
    /// Whether each key has its value.
    is_whole: bool,
}

impl Node {
    fn parse(body: &[u8]) -> Option<Self> {
        let mut reader = Reader { bytes: body, at: 0 };
        let (_next, _merging_child, merging) = (reader.number()?, reader.number()?, reader.byte()?);
        let prefix_length = usize::from(reader.byte()?);
        let (low, _high) = (reader.bytes()?, reader.bytes()?);
        let prefix = body[low].get(..prefix_length)?.to_vec();
        let is_leaf = reader.byte()? == 0;
        let count = reader.length()?;
        if merging > 1 || count > body.len() {
            return None;
        }
        let mut node =
            Self { prefix, is_leaf, keys: Vec::new(), values: Vec::new(), is_whole: false };
        for _ in 0..count {
            node.keys.push(reader.bytes()?);
        }
        while is_leaf && node.values.len() < count {
            let Some(value) = reader.bytes() else { return Some(node) };
            node.values.push(value);
        }
        node.is_whole = true;
        Some(node)
    }
}

/// A change of a page.
pub(super) enum Link {
    Set(Range<usize>, Range<usize>),
    Delete(Range<usize>),
}

impl Link {
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let mut reader = Reader { bytes: body, at: 0 };
        match reader.byte()? {
            0 => Some(Self::Set(reader.bytes()?, reader.bytes()?)),
            1 => Some(Self::Delete(reader.bytes()?)),
            _ => None,
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    /// A variable-length integer.
    fn number(&mut self) -> Option<u64> {
        Some(match self.byte()? {
            small @ 0..=240 => small.into(),
            high @ 241..=248 => 240 + 256 * (u64::from(high) - 241) + u64::from(self.byte()?),
            249 => 2_288 + 256 * u64::from(self.byte()?) + u64::from(self.byte()?),
            longer => {
                let mut number = [0; 8];
                for byte in &mut number[..usize::from(longer) - 247] {
                    *byte = self.byte()?;
                }
                u64::from_le_bytes(number)
            }
        })
    }

    fn length(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    /// A byte string after its length.
    fn bytes(&mut self) -> Option<Range<usize>> {
        let length = self.length()?;
        let range = self.at..self.at.checked_add(length)?;
        self.bytes.get(range.clone())?;
        self.at = range.end;
        Some(range)
    }
}
