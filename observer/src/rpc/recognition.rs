//! Is it gRPC? Decided by what is known, and by nothing else.
//!
//! The content type decides where it is known. On a connection joined late it may not be: grpc-go and others
//! send it, the path and even `grpc-status` as indices into a table older than the observer. Then, in this order:
//! what no gRPC request can be (no POST; everything known and no content type); what only gRPC is (a
//! `grpc-timeout`; `te: trailers` on a POST to something like a method); what the connection carried before; and
//! else the response: its content type, a `grpc-status`, or its form, as trailers behind a response are gRPC's
//! alone in practice.

use super::content_type::ContentType;
use super::field::Fields;
use super::{MethodIndex, Methods};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Grpc,
    GrpcWeb,
    /// HTTP, but not gRPC.
    Foreign,
    Undecided,
}

impl From<ContentType> for Verdict {
    fn from(content_type: ContentType) -> Self {
        match content_type {
            ContentType::Grpc => Self::Grpc,
            ContentType::GrpcWeb => Self::GrpcWeb,
            ContentType::Other => Self::Foreign,
        }
    }
}

/// What a connection carried so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Habit {
    pub(super) grpc: bool,
    pub(super) other: bool,
}

impl Habit {
    pub(super) const fn is_grpc_alone(self) -> bool {
        self.grpc && !self.other
    }
}

pub(super) fn request(fields: &Fields, habit: Habit, methods: &Methods) -> Verdict {
    if let Some(content_type) = fields.content_type {
        return content_type.into();
    }
    if fields.unknown == 0 || fields.post == Some(false) {
        return Verdict::Foreign;
    }
    if fields.timeout.is_some() || habit.is_grpc_alone() {
        return Verdict::Grpc;
    }
    // Some browsers ask for trailers too, but not for `/package.Service/Method`.
    let like_a_method = fields.path.is_some_and(|path| is_like_a_method(path, methods));
    if fields.te_trailers && fields.post == Some(true) && like_a_method {
        return Verdict::Grpc;
    }
    Verdict::Undecided
}

/// What the response adds. `is_trailers`: the block ends a stream whose response had begun.
pub(super) fn response(fields: &Fields, is_trailers: bool) -> Verdict {
    // An error page of a proxy in front is no proof: only gRPC's own content types are.
    match fields.content_type {
        Some(ContentType::Grpc) => return Verdict::Grpc,
        Some(ContentType::GrpcWeb) => return Verdict::GrpcWeb,
        _ => {}
    }
    if fields.grpc_status.is_some() {
        return Verdict::Grpc;
    }
    if fields.content_type.is_some() {
        return Verdict::Foreign;
    }
    match (is_trailers, fields.unknown) {
        (true, 0) => Verdict::Foreign,
        (true, _) => Verdict::Grpc,
        _ => Verdict::Undecided,
    }
}

fn is_like_a_method(path: MethodIndex, methods: &Methods) -> bool {
    let mut parts = methods.path(path).split(|&byte| byte == b'/');
    let parts = [parts.next(), parts.next(), parts.next(), parts.next()];
    matches!(parts, [Some([]), Some([_, ..]), Some([_, ..]), None]) && !methods.path(path).contains(&b'?')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_like_methods() {
        let mut methods = Methods::new();
        let mut check = |path: &str, expected| {
            let method = methods.resolve(path.as_bytes());
            assert_eq!(is_like_a_method(method, &methods), expected, "{path}");
        };
        check("/grpc.health.v1.Health/Check", true);
        check("/Service/Method", true);
        check("/", false);
        check("/index.html", false);
        check("//x", false);
        check("/a/", false);
        check("/a/b/c", false);
        check("/a/b?c", false);
        check("a/b/c", false);
    }
}
