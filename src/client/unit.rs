//! Single units, and imports of whole files.

use std::io::Read;

use prost_types::FieldMask;
use tokio_stream::{Stream, StreamExt as _};
use tonic::Status;
use uuid::Uuid;

use crate::engine::{DuplicatePolicy, ImportCounts, UnitOutcome};
use crate::unit::{MemoryName, Unit, UnitContent, UnitId};

use super::connection::{Client, stored_unit};
use super::error::ClientError;
use super::upload::pieces;
use crate::grpc::convert;
use crate::grpc::proto;

impl Client {
    /// Creates units, all or none; a repeated request id creates none and returns the first answer.
    ///
    /// # Errors
    /// The server's.
    pub async fn create_units(
        &mut self,
        memory: &MemoryName,
        contents: Vec<UnitContent>,
        request_id: Uuid,
    ) -> Result<Vec<Unit>, ClientError> {
        let saved =
            self.save_units(memory, contents, DuplicatePolicy::default(), request_id).await?;
        Ok(saved.into_iter().map(|(unit, _)| unit).collect())
    }

    /// Stores units, all or none, by a policy for those that the memory has; a repeated request id stores none and returns the first
    /// answer.
    ///
    /// # Errors
    /// The server's.
    pub async fn save_units(
        &mut self,
        memory: &MemoryName,
        contents: Vec<UnitContent>,
        policy: DuplicatePolicy,
        request_id: Uuid,
    ) -> Result<Vec<(Unit, UnitOutcome)>, ClientError> {
        let request = proto::BatchCreateUnitsRequest {
            parent: memory.resource(),
            units: contents.into_iter().map(Into::into).collect(),
            duplicate_policy: proto::DuplicatePolicy::from(policy).into(),
            request_id: request_id.to_string(),
            ..proto::BatchCreateUnitsRequest::default()
        };
        let response = self.units.batch_create_units(request).await?.into_inner();
        let outcomes = response.outcomes();
        let outcomes = outcomes.map(|it| Ok::<_, ClientError>(UnitOutcome::try_from(it)?));
        let outcomes = outcomes.collect::<Result<Vec<_>, _>>()?;
        let units = response.units.into_iter().zip(outcomes);
        units.map(|(unit, outcome)| Ok((stored_unit(unit)?, outcome))).collect()
    }

    /// Changes the texts of a unit, if it still has that etag.
    ///
    /// # Errors
    /// The server's.
    pub async fn update_texts(
        &mut self,
        memory: &MemoryName,
        (unit, etag): (UnitId, String),
        content: UnitContent,
        request_id: Uuid,
    ) -> Result<Unit, ClientError> {
        self.update_fields(memory, (unit, etag), content, &["source", "target"], request_id).await
    }

    /// Changes who wrote a unit, when, and for which document.
    ///
    /// # Errors
    /// The server's.
    pub async fn update_origin(
        &mut self,
        memory: &MemoryName,
        unit: UnitId,
        content: UnitContent,
        request_id: Uuid,
    ) -> Result<Unit, ClientError> {
        let fields = ["author", "document", "update_time"];
        self.update_fields(memory, (unit, String::new()), content, &fields, request_id).await
    }

    /// Changes the named fields of a unit to those of a content: `source`, `document`, ``attributes.`client` ``.
    ///
    /// # Errors
    /// The server's.
    pub async fn update_unit(
        &mut self,
        memory: &MemoryName,
        unit: UnitId,
        content: UnitContent,
        fields: &[String],
        request_id: Uuid,
    ) -> Result<Unit, ClientError> {
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        self.update_fields(memory, (unit, String::new()), content, &fields, request_id).await
    }

    async fn update_fields(
        &mut self,
        memory: &MemoryName,
        (unit, etag): (UnitId, String),
        content: UnitContent,
        fields: &[&str],
        request_id: Uuid,
    ) -> Result<Unit, ClientError> {
        let paths = fields.iter().map(|&field| field.to_owned()).collect();
        let request = proto::UpdateUnitRequest {
            unit: Some(proto::Unit {
                name: convert::unit_resource(memory, unit),
                etag,
                ..content.into()
            }),
            update_mask: Some(FieldMask { paths }),
            request_id: request_id.to_string(),
            ..proto::UpdateUnitRequest::default()
        };
        let unit = self.units.update_unit(request).await?.into_inner().unit;
        stored_unit(unit.unwrap_or_default())
    }

    /// Imports a file of any exchange format, which the server parses; returns the counts at the end. With a size of 0, a
    /// truncated file is not noticed.
    ///
    /// # Errors
    /// The server's; an error of the file ends the stream, and the server keeps what came before it.
    pub async fn import_file(
        &mut self,
        memory: &MemoryName,
        import_id: Uuid,
        (file, size_bytes): (impl Read + Send + 'static, u64),
    ) -> Result<ImportCounts, ClientError> {
        let (pieces, reading) = pieces(file);
        let policy = DuplicatePolicy::default();
        let counts = self.import_pieces(memory, policy, (import_id, size_bytes), pieces).await?;
        match reading.await {
            Ok(Err(error)) => Err(Status::aborted(format!("reading the file: {error}")).into()),
            _ => Ok(counts),
        }
    }

    /// As [`import_file`](Self::import_file), of a file that comes in pieces, by a policy for units that the memory has.
    ///
    /// # Errors
    /// The server's.
    pub async fn import_pieces(
        &mut self,
        memory: &MemoryName,
        policy: DuplicatePolicy,
        (import_id, size_bytes): (Uuid, u64),
        pieces: impl Stream<Item = Vec<u8>> + Send + 'static,
    ) -> Result<ImportCounts, ClientError> {
        use proto::import_file_request::Message;
        let header = proto::ImportFileHeader {
            parent: memory.resource(),
            import_id: import_id.to_string(),
            duplicate_policy: proto::DuplicatePolicy::from(policy).into(),
            size_bytes: convert::signed(size_bytes),
            ..proto::ImportFileHeader::default()
        };
        let requests = tokio_stream::once(Message::Header(header))
            .chain(pieces.map(Message::Chunk))
            .map(|message| proto::ImportFileRequest { message: Some(message) });
        let mut answers = self.units.import_file(requests).await?.into_inner();
        let mut counts = ImportCounts::default();
        while let Some(answer) = answers.next().await {
            counts = answer?.counts.unwrap_or_default().into();
        }
        Ok(counts)
    }

    /// Deletes a unit.
    ///
    /// # Errors
    /// The server's.
    pub async fn delete_unit(
        &mut self,
        memory: &MemoryName,
        id: UnitId,
        request_id: Uuid,
    ) -> Result<(), ClientError> {
        let request = proto::DeleteUnitRequest {
            name: convert::unit_resource(memory, id),
            request_id: request_id.to_string(),
            ..proto::DeleteUnitRequest::default()
        };
        self.units.delete_unit(request).await?;
        Ok(())
    }
}
