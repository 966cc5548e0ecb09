//! `content-type`, as far as it tells gRPC from its relatives.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContentType {
    Grpc,
    /// For browsers: the trailers are in the body, so calls cannot be read from headers.
    GrpcWeb,
    Other,
}

impl ContentType {
    /// Media types are compared without regard to case.
    pub(super) fn parse(value: &[u8]) -> Self {
        const GRPC: &[u8] = b"application/grpc";
        const WEB: &[u8] = b"-web";
        let Some((start, rest)) = value.split_at_checked(GRPC.len()) else {
            return Self::Other;
        };
        if !start.eq_ignore_ascii_case(GRPC) {
            return Self::Other;
        }
        match rest {
            [] | [b'+' | b';' | b' ', ..] => Self::Grpc,
            _ if rest
                .get(..WEB.len())
                .is_some_and(|web| web.eq_ignore_ascii_case(WEB)) =>
            {
                Self::GrpcWeb
            }
            _ => Self::Other,
        }
    }

    pub(super) const fn token(self) -> u32 {
        match self {
            Self::Grpc => 1,
            Self::GrpcWeb => 2,
            Self::Other => 0,
        }
    }

    pub(super) const fn from_token(token: u32) -> Self {
        match token {
            1 => Self::Grpc,
            2 => Self::GrpcWeb,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relatives() {
        let check = |value: &str, expected| {
            let found = ContentType::parse(value.as_bytes());
            assert_eq!(found, expected, "{value:?}");
            assert_eq!(ContentType::from_token(found.token()), expected);
        };
        check("application/grpc", ContentType::Grpc);
        check("application/grpc+proto", ContentType::Grpc);
        check("application/grpc;charset=utf-8", ContentType::Grpc);
        check("Application/GRPC", ContentType::Grpc);
        check("application/grpc-web", ContentType::GrpcWeb);
        check("application/grpc-web-text+proto", ContentType::GrpcWeb);
        check("application/grpcx", ContentType::Other);
        check("application/json", ContentType::Other);
        check("", ContentType::Other);
    }
}
