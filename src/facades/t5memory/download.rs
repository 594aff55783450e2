//! `download.tmx`: a memory as TMX, as a stream or in parts.

use std::io::{self, Write};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue, Response};
use http_body::Frame;
use http_body_util::{Full, StreamBody};
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;

use crate::client::{ClientStream, MemoryInfo};
use crate::formats::{self, FileHeader, Format, SharedBuffer, UnitWriter};
use crate::unit::Unit;

use super::super::visit::Visit;
use super::fault::Fault;
use super::fields::Fields;
use super::position::Position;

/// Text in one part, after which it ends before its limit: a part is held in memory.
const PART_BYTES_MAX: usize = 8 * 1024 * 1024;

type Pages = ClientStream<(Vec<Unit>, String)>;

pub(super) async fn tmx(visit: &mut Visit, memory: &MemoryInfo) -> Result<Response<Body>, Fault> {
    let fields = Fields::of(visit).await?;
    let from = Position::parse("startFromInternalKey", fields.text("startFromInternalKey"))?;
    let limit = fields.number("limit")?.filter(|&limit| limit > 0);
    let pages = visit.client.export_after(&memory.name, from.token.clone()).await?;
    let (body, next) = match limit {
        Some(limit) => {
            let (part, next) = part(memory, pages, from, limit).await?;
            (Body::new(Full::new(Bytes::from(part))), next)
        }
        None => (stream(memory, pages, from.skipped)?, None),
    };
    let mut answer = Response::new(body);
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let name = format!("attachment; filename=\"{}.tmx\"", memory.name);
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert(CONTENT_DISPOSITION, name);
    }
    if let Some(next) = next
        && let Ok(next) = HeaderValue::from_str(&next.to_string())
    {
        headers.insert(HeaderName::from_static("nextinternalkey"), next);
    }
    Ok(answer)
}

/// A file with the next units, at most `limit`, and the place after them, if there are more.
async fn part(
    memory: &MemoryInfo,
    mut pages: Pages,
    mut from: Position,
    limit: u64,
) -> Result<(Vec<u8>, Option<Position>), Fault> {
    let mut writer = create(memory, Vec::new())?;
    let (mut count, mut bytes) = (0, 0);
    while let Some(page) = pages.next().await {
        let (units, cursor) = page?;
        let last = units.len();
        for (number, unit) in units.into_iter().enumerate().skip(from.skipped) {
            bytes += unit.content.source.text.len() + unit.content.target.text.len();
            writer.write(&unit).map_err(unwritten)?;
            count += 1;
            if count < limit && bytes < PART_BYTES_MAX {
                continue;
            }
            let skipped = number + 1;
            let next = if skipped < last {
                Some(Position { skipped, ..from })
            } else {
                let has_more = pages.next().await.transpose()?.is_some();
                has_more.then_some(Position { token: cursor, skipped: 0 })
            };
            return Ok((writer.finish().map_err(unwritten)?, next));
        }
        from = Position { token: cursor, skipped: 0 };
    }
    Ok((writer.finish().map_err(unwritten)?, None))
}

/// A file with all units, written as they are read.
fn stream(memory: &MemoryInfo, mut pages: Pages, skipped: usize) -> Result<Body, Fault> {
    let written = SharedBuffer::default();
    let mut writer = create(memory, written.clone())?;
    let (pieces, to_send) = mpsc::channel::<io::Result<Bytes>>(1);
    tokio::spawn(async move {
        let mut skipped = skipped;
        let written_all = async {
            while let Some(page) = pages.next().await {
                let (units, _) = page.map_err(io::Error::other)?;
                for unit in units.into_iter().skip(std::mem::take(&mut skipped)) {
                    writer.write(&unit)?;
                }
                if pieces.send(Ok(written.take().into())).await.is_err() {
                    // The client has disconnected.
                    return Ok(());
                }
            }
            writer.finish()?;
            let _ = pieces.send(Ok(written.take().into())).await;
            Ok(())
        };
        let ended: io::Result<()> = written_all.await;
        if let Err(error) = ended {
            // The answer breaks off, so that half a file is not taken for the whole.
            let _ = pieces.send(Err(error)).await;
        }
    });
    let frames = ReceiverStream::new(to_send).map(|piece| piece.map(Frame::data));
    Ok(Body::new(StreamBody::new(frames)))
}

fn create<W: Write>(memory: &MemoryInfo, out: W) -> Result<UnitWriter<W>, Fault> {
    formats::create(Format::Tmx, &FileHeader::from(memory), out).map_err(unwritten)
}

fn unwritten(error: io::Error) -> Fault {
    crate::client::ClientError::Output(error).into()
}
