//! Writes the units of a memory to a file of an exchange format.

use std::io::Write;

use tokio_stream::StreamExt as _;

use crate::engine::ExportQuery;
use crate::formats::{self, FileHeader, Format};

use super::{Client, ClientError, MemoryInfo};

impl Client {
    /// Writes the units that are wanted, and returns the output and their number.
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
        let header = FileHeader {
            source_lang: memory.source_lang.clone(),
            target_lang: memory.target_lang.clone(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
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
