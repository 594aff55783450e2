//! Why a facade cannot do what was asked; each facade says it in the form of its clients.

use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::client::ClientError;
use crate::gateway::http_code;
use crate::unit::ValidationError;

/// Why a request was not carried out.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) message: String,
    /// Seconds after which to try again.
    retry_seconds: Option<u64>,
    /// The code of the call that failed, if one was made.
    pub(super) code: Option<Code>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, message: &str) -> Self {
        Self { status, message: message.to_owned(), retry_seconds: None, code: None }
    }

    pub(super) fn bad_request(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(super) fn not_found(message: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    pub(super) fn wrong_method(allowed: &str) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, &format!("this path takes {allowed}"))
    }

    pub(super) fn read_only(facade: &str) -> Self {
        let message = format!(
            "{facade} is read only on this server; the setting facade.{facade}.writes = true allows writing"
        );
        Self::new(StatusCode::FORBIDDEN, &message)
    }

    pub(super) fn busy(message: &str) -> Self {
        let retry_seconds = Some(1);
        Self { retry_seconds, ..Self::new(StatusCode::TOO_MANY_REQUESTS, message) }
    }

    /// Whether the text of a client was refused.
    pub(super) fn is_invalid_argument(&self) -> bool {
        self.code == Some(Code::InvalidArgument)
    }

    /// Adds what clients of HTTP look for in headers.
    pub(super) fn complete(&self, response: &mut Response<Body>) {
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            let basic = HeaderValue::from_static("Basic realm=\"dhakira\", charset=\"UTF-8\"");
            headers.insert(WWW_AUTHENTICATE, basic);
        }
        if let Some(seconds) = self.retry_seconds {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
    }
}

impl From<&Status> for Refusal {
    fn from(status: &Status) -> Self {
        let delay = status.get_details_retry_info().and_then(|info| info.retry_delay);
        Self {
            status: http_code(status),
            message: status.message().to_owned(),
            // Rounded up, since coming back too early is of no use.
            retry_seconds: delay.map(|it| it.as_secs() + u64::from(it.subsec_nanos() > 0)),
            code: Some(status.code()),
        }
    }
}

impl From<ClientError> for Refusal {
    fn from(error: ClientError) -> Self {
        match &error {
            ClientError::Refused(status) | ClientError::Lost(status) => Self::from(&**status),
            other => Self::new(StatusCode::INTERNAL_SERVER_ERROR, &other.to_string()),
        }
    }
}

impl From<ValidationError> for Refusal {
    fn from(error: ValidationError) -> Self {
        Self::bad_request(&error.to_string())
    }
}
