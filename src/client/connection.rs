//! The client: its connection, and the services that it calls.

use std::pin::Pin;
use std::sync::Arc;

use tokio_stream::Stream;

use crate::grpc::Api;
use crate::grpc::convert::Within as _;
use crate::grpc::proto;
use crate::grpc::proto::admin_service_client::AdminServiceClient;
use crate::grpc::proto::alignment_service_client::AlignmentServiceClient;
use crate::grpc::proto::lookup_service_client::LookupServiceClient;
use crate::grpc::proto::memory_service_client::MemoryServiceClient;
use crate::grpc::proto::operation_service_client::OperationServiceClient;
use crate::grpc::proto::server_service_client::ServerServiceClient;
use crate::grpc::proto::unit_service_client::UnitServiceClient;
use crate::limits::MESSAGE_BYTES_MAX;
use crate::unit::{MemoryName, Unit};

use super::error::ClientError;
use super::fault::ConnectFault;
use super::transport::{Credentials, LocalService, Transport, address, fault};

/// The answers of a streaming call.
pub type ClientStream<T> = Pin<Box<dyn Stream<Item = Result<T, ClientError>> + Send>>;

/// Calls the services.
#[derive(Clone)]
pub struct Client {
    pub(super) memories: MemoryServiceClient<Transport>,
    pub(super) units: UnitServiceClient<Transport>,
    pub(super) lookups: LookupServiceClient<Transport>,
    pub(super) alignment: AlignmentServiceClient<Transport>,
    pub(super) admin: AdminServiceClient<Transport>,
    pub(super) operations: OperationServiceClient<Transport>,
    server: ServerServiceClient<Transport>,
    /// The address of the server; none for services in this process.
    url: Option<Arc<str>>,
    /// Whether it shows a certificate of its own to the server.
    shows_certificate: bool,
    /// The services, when they are in this process: units in bulk are passed without messages.
    pub(super) local: Option<Api>,
}

impl Client {
    /// A client of a server at a URL such as `http://127.0.0.1:50051`; a bare `host:port` will do.
    ///
    /// # Errors
    /// Not a URL; nobody answers there.
    pub async fn connect(url: &str) -> Result<Self, ClientError> {
        Self::connect_with(url, &Credentials::default()).await
    }

    /// As [`Self::connect`], with what the server wants to see and what it is to show.
    ///
    /// # Errors
    /// Not a URL; certificates that are none; nobody answers there.
    pub async fn connect_with(url: &str, credentials: &Credentials) -> Result<Self, ClientError> {
        let transport = Transport::connect(url, credentials).await?;
        let secure = credentials.ca.is_some() || credentials.identity.is_some();
        Ok(Self {
            url: Some(address(url, secure).into()),
            shows_certificate: credentials.identity.is_some(),
            ..Self::over(transport, None)
        })
    }

    /// What was wrong when a call was lost: a server that takes no calls at all is told from one that was there and is gone.
    pub async fn explain_lost(&self, error: ClientError) -> ClientError {
        let (ClientError::Lost(status), Some(url)) = (&error, &self.url) else { return error };
        let said = ConnectFault::of(&**status);
        let fault = fault(url, said).await.map(|fault| match fault {
            // The look at the server shows none.
            ConnectFault::NeedsClientCertificate if self.shows_certificate => {
                ConnectFault::RefusesClientCertificate
            }
            fault => fault,
        });
        match fault {
            Some(fault) => ClientError::Connect { url: url.to_string(), fault },
            None => error,
        }
    }

    /// A client of the services in this process: the same answers without a socket.
    pub fn local(api: &Api) -> Self {
        Self::over(Transport::Local(api.routes()), Some(api.clone()))
    }

    /// A client of a service in this process, which may do more with a call than answer it.
    pub fn of_service(service: LocalService) -> Self {
        Self::over(Transport::Service(service), None)
    }

    /// Whether the services are in this process.
    pub fn is_local(&self) -> bool {
        self.local.is_some()
    }

    /// Checks that the caller may call at all, by a call that every role may make.
    ///
    /// # Errors
    /// The server's.
    pub async fn check_access(&mut self) -> Result<(), ClientError> {
        self.server.get_server_info(proto::GetServerInfoRequest::default()).await?;
        Ok(())
    }

    fn over(transport: Transport, local: Option<Api>) -> Self {
        let limit = MESSAGE_BYTES_MAX;
        Self {
            memories: MemoryServiceClient::new(transport.clone()).max_decoding_message_size(limit),
            units: UnitServiceClient::new(transport.clone()).max_decoding_message_size(limit),
            lookups: LookupServiceClient::new(transport.clone()).max_decoding_message_size(limit),
            alignment: AlignmentServiceClient::new(transport.clone())
                .max_decoding_message_size(limit),
            admin: AdminServiceClient::new(transport.clone()).max_decoding_message_size(limit),
            operations: OperationServiceClient::new(transport.clone())
                .max_decoding_message_size(limit),
            server: ServerServiceClient::new(transport).max_decoding_message_size(limit),
            local,
            url: None,
            shows_certificate: false,
        }
    }
}

/// A unit as the server sent it.
pub(super) fn stored_unit(unit: proto::Unit) -> Result<Unit, ClientError> {
    let (_, unit) = <(MemoryName, Unit)>::try_from(unit).within("unit")?;
    Ok(unit)
}
