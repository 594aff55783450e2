//! Deadlines: when a call ends whether it is done or not.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;
use tokio::time::Sleep;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::{Code, Status};

use crate::grpc::refusal;

use super::super::auth::Principal;

/// The deadline that a client sets: header `grpc-timeout`, at most eight digits and a unit.
pub(in crate::server) fn client_timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|it| it.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3_600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

/// Resolves to the status of a call whose time is up, or whose token expired or was revoked.
pub(in crate::server) struct Deadline {
    sleep: Pin<Box<Sleep>>,
    expires: Option<Pin<Box<Sleep>>>,
    gone: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl Deadline {
    pub(in crate::server) fn new(time: Duration, principal: Option<&Arc<Principal>>) -> Self {
        let left = principal.and_then(|principal| principal.record.expires).map(|end| {
            Duration::try_from(end.duration_since(Timestamp::now())).unwrap_or_default()
        });
        // A token that outlives the call does not matter.
        let left = left.filter(|left| *left < time);
        Self {
            sleep: Box::pin(tokio::time::sleep(time)),
            expires: left.map(|left| Box::pin(tokio::time::sleep(left))),
            gone: principal.map(|principal| Box::pin(principal.gone.clone().cancelled_owned())),
        }
    }
}

impl Future for Deadline {
    type Output = Status;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Status> {
        if self.sleep.as_mut().poll(context).is_ready() {
            let message = "the call exceeded its deadline, or the time limit of this server";
            let status = refusal(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", message, None);
            return Poll::Ready(status);
        }
        let expired = self.expires.as_mut().is_some_and(|it| it.as_mut().poll(context).is_ready());
        if expired {
            let message = "the token expired during the call";
            return Poll::Ready(refusal(Code::Unauthenticated, "TOKEN_EXPIRED", message, None));
        }
        let gone = self.gone.as_mut().is_some_and(|it| it.as_mut().poll(context).is_ready());
        if gone {
            let message = "the token was revoked or changed during the call";
            return Poll::Ready(refusal(Code::Unauthenticated, "TOKEN_REVOKED", message, None));
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn timeouts_are_read_as_the_protocol_writes_them() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", HeaderValue::from_str(text).unwrap());
            client_timeout(&headers)
        };
        assert_eq!(read("1m"), Some(Duration::from_millis(1)));
        assert_eq!(read("99999999H"), Some(Duration::from_secs(99_999_999 * 3_600)));
        assert_eq!(read("5n"), Some(Duration::from_nanos(5)));
        for wrong in ["", "m", "123456789S", "-1S", "1s", "1.5S"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
