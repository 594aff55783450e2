//! Exports: the units of a memory, in pages or as a file of an exchange format.

use std::io::Write;

use tokio_stream::StreamExt as _;

use crate::engine::ExportQuery;
use crate::formats::{self, FileHeader, Format};

use crate::grpc::proto;
use crate::unit::{MemoryName, Unit};

use super::connection::{Client, ClientStream, stored_unit};
use super::error::ClientError;
use super::memory::MemoryInfo;

impl Client {
    /// The selected units of a memory, in pages.
    ///
    /// # Errors
    /// The server's, at once or in the stream.
    pub async fn export(
        &mut self,
        memory: &MemoryName,
        wanted: ExportQuery,
    ) -> Result<ClientStream<Vec<Unit>>, ClientError> {
        if let Some(api) = &self.local {
            let pages = api.export_units(memory.clone(), wanted)?;
            return Ok(Box::pin(pages.map(|page| Ok(page?))));
        }
        let request = proto::ExportUnitsRequest {
            parent: memory.resource(),
            filter: Some((&wanted.filter).into()),
            query: wanted.text,
            ..proto::ExportUnitsRequest::default()
        };
        let answers = self.units.export_units(request).await?.into_inner();
        Ok(Box::pin(answers.map(|answer| answer?.units.into_iter().map(stored_unit).collect())))
    }

    /// All units of a memory after a cursor, which an earlier answer gave, or from the first one, in pages with their cursors.
    ///
    /// # Errors
    /// The server's, at once or in the stream.
    pub async fn export_after(
        &mut self,
        memory: &MemoryName,
        cursor: String,
    ) -> Result<ClientStream<(Vec<Unit>, String)>, ClientError> {
        let parent = memory.resource();
        let request =
            proto::ExportUnitsRequest { parent, cursor, ..proto::ExportUnitsRequest::default() };
        let answers = self.units.export_units(request).await?.into_inner();
        Ok(Box::pin(answers.map(|answer| {
            let answer = answer?;
            let units = answer.units.into_iter().map(stored_unit);
            Ok((units.collect::<Result<_, ClientError>>()?, answer.cursor))
        })))
    }

    /// Writes the selected units; returns the output and their number.
    ///
    /// # Errors
    /// The server's, at once or in the stream; the output's.
    pub async fn export_to<W: Write + Send>(
        &mut self,
        memory: &MemoryInfo,
        wanted: ExportQuery,
        format: Format,
        out: W,
    ) -> Result<(W, u64), ClientError> {
        let header = FileHeader::from(memory);
        let mut writer = formats::create(format, &header, out).map_err(ClientError::Output)?;
        let mut pages = self.export(&memory.name, wanted).await?;
        let mut units = 0;
        while let Some(page) = pages.next().await {
            for unit in page? {
                writer.write(&unit).map_err(ClientError::Output)?;
                units += 1;
            }
        }
        Ok((writer.finish().map_err(ClientError::Output)?, units))
    }
}

/// The beginning of a file with units of a memory.
impl From<&MemoryInfo> for FileHeader {
    fn from(memory: &MemoryInfo) -> Self {
        Self {
            source_lang: memory.source_lang.clone(),
            target_lang: memory.target_lang.clone(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}
