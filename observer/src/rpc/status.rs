//! How calls end, by name, and what other words are translated to it.

use crate::http2::ErrorCode;

/// The canonical gRPC status codes, and one more for an end that was not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Status {
    Ok,
    Cancelled,
    Unknown,
    InvalidArgument,
    DeadlineExceeded,
    NotFound,
    AlreadyExists,
    PermissionDenied,
    ResourceExhausted,
    FailedPrecondition,
    Aborted,
    OutOfRange,
    Unimplemented,
    Internal,
    Unavailable,
    DataLoss,
    Unauthenticated,
    /// The call ended, or may have ended, and how was not seen.
    Unobserved,
}

impl Status {
    /// In the order of their numbers; `Unobserved`, which has none, is last.
    pub const ALL: [Self; 18] = [
        Self::Ok,
        Self::Cancelled,
        Self::Unknown,
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::AlreadyExists,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::FailedPrecondition,
        Self::Aborted,
        Self::OutOfRange,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
        Self::DataLoss,
        Self::Unauthenticated,
        Self::Unobserved,
    ];

    /// The value of the label `status`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Cancelled => "CANCELLED",
            Self::Unknown => "UNKNOWN",
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::FailedPrecondition => "FAILED_PRECONDITION",
            Self::Aborted => "ABORTED",
            Self::OutOfRange => "OUT_OF_RANGE",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Internal => "INTERNAL",
            Self::Unavailable => "UNAVAILABLE",
            Self::DataLoss => "DATA_LOSS",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Unobserved => "_unobserved",
        }
    }

    /// Place in [`Status::ALL`]; for statuses with a number, the number.
    #[must_use]
    pub fn index(self) -> usize {
        Self::ALL
            .iter()
            .position(|&status| status == self)
            .unwrap_or_default()
    }

    /// The status with this place in [`Status::ALL`].
    #[must_use]
    pub fn from_index(index: usize) -> Option<Self> {
        Self::ALL.get(index).copied()
    }

    /// The value of `grpc-status`. Whatever is no known number says that the call failed, but not how.
    pub(super) fn parse(value: &[u8]) -> Self {
        let mut number = 0_usize;
        for byte in value {
            if !byte.is_ascii_digit() {
                return Self::Unknown;
            }
            number = number.saturating_mul(10).saturating_add(usize::from(byte - b'0'));
        }
        match Self::from_index(number) {
            Some(status) if !value.is_empty() && status != Self::Unobserved => status,
            _ => Self::Unknown,
        }
    }

    /// gRPC's mapping of HTTP statuses, for responses without `grpc-status`.
    pub(super) const fn from_http(status: u16) -> Self {
        match status {
            400 => Self::Internal,
            401 => Self::Unauthenticated,
            403 => Self::PermissionDenied,
            404 => Self::Unimplemented,
            429 | 502 | 503 | 504 => Self::Unavailable,
            _ => Self::Unknown,
        }
    }

    /// gRPC's mapping of a server's `RST_STREAM`. It leaves out `STREAM_CLOSED`, as no stream should be there to see
    /// it, `HTTP_1_1_REQUIRED` and codes yet to be made: all that is known then is that the call failed.
    pub(super) const fn from_reset(code: ErrorCode) -> Self {
        match code {
            ErrorCode::NoError
            | ErrorCode::ProtocolError
            | ErrorCode::InternalError
            | ErrorCode::FlowControlError
            | ErrorCode::SettingsTimeout
            | ErrorCode::FrameSizeError
            | ErrorCode::CompressionError
            | ErrorCode::ConnectError => Self::Internal,
            ErrorCode::RefusedStream => Self::Unavailable,
            ErrorCode::Cancel => Self::Cancelled,
            ErrorCode::EnhanceYourCalm => Self::ResourceExhausted,
            ErrorCode::InadequateSecurity => Self::PermissionDenied,
            ErrorCode::StreamClosed | ErrorCode::Http11Required | ErrorCode::Other(_) => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_status_values() {
        let check =
            |value: &str, expected| assert_eq!(Status::parse(value.as_bytes()), expected, "{value:?}");
        check("0", Status::Ok);
        check("00", Status::Ok);
        check("5", Status::NotFound);
        check("16", Status::Unauthenticated);
        for odd in [
            "",
            "17",
            "18",
            "99",
            "-1",
            "+0",
            " 0",
            "0 ",
            "OK",
            "0x0",
            "4294967296",
            "18446744073709551616",
        ] {
            check(odd, Status::Unknown);
        }
    }

    #[test]
    fn numbers_are_places() {
        for (place, status) in Status::ALL.into_iter().enumerate() {
            assert_eq!(status.index(), place);
            assert_eq!(Status::from_index(place), Some(status));
        }
    }
}
