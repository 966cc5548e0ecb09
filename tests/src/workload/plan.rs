//! What a client is asked to do. The keys and their meaning are in `workloads/README.md`; unset ones stay out of the
//! JSON, so that every client's own defaults are used as well.

use serde::{Deserialize, Serialize};

use super::command::STATUSES;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    #[default]
    Unary,
    Server,
    Client,
    Bidi,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the keys of a plan, independent of each other"
)]
pub struct Step {
    pub method: String,
    pub kind: Kind,
    pub count: u32,
    pub connections: u32,
    pub concurrency: u32,
    pub churn: bool,
    pub request_size: usize,
    pub request_count: u32,
    pub deadline_ms: u64,
    pub cancel_after_ms: u64,
    pub cancel_after_first: bool,
    pub metadata_size: usize,
    pub metadata_unique: bool,
    pub status: u32,
    pub message: String,
    pub sleep_ms: u32,
    pub linger_ms: u32,
    pub response_size: u32,
    pub response_count: u32,
    pub response_headers: u32,
    pub response_trailers: u32,
    pub headers_first: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect: Option<String>,
}

impl Default for Step {
    fn default() -> Self {
        Self {
            method: "/truth.v1.Truth/Echo".into(),
            kind: Kind::Unary,
            count: 1,
            connections: 1,
            concurrency: 1,
            churn: false,
            request_size: 0,
            request_count: 1,
            deadline_ms: 0,
            cancel_after_ms: 0,
            cancel_after_first: false,
            metadata_size: 0,
            metadata_unique: false,
            status: 0,
            message: String::new(),
            sleep_ms: 0,
            linger_ms: 0,
            response_size: 0,
            response_count: 0,
            response_headers: 0,
            response_trailers: 0,
            headers_first: false,
            expect: None,
        }
    }
}

impl Step {
    /// `count` calls of one method.
    pub fn new(kind: Kind, method: &str, count: u32) -> Self {
        Self {
            kind,
            method: method.into(),
            count,
            ..Self::default()
        }
    }

    /// The status that every call must end with; `None` for any.
    pub fn expected(&self) -> Option<&str> {
        match self.expect.as_deref() {
            Some("*") => None,
            Some(name) => Some(name),
            None => STATUSES.get(usize::try_from(self.status).ok()?).copied(),
        }
    }

    /// How many request messages a call sends.
    pub fn requests(&self) -> u32 {
        match self.kind {
            Kind::Unary | Kind::Server => 1,
            Kind::Client | Kind::Bidi => self.request_count,
        }
    }

    /// How many messages answer one request message of a `bidi` call.
    pub fn answers_each(&self) -> u32 {
        self.response_count.max(1)
    }

    /// How many response messages a complete call brings.
    pub fn answers(&self) -> u32 {
        let streaming = matches!(self.kind, Kind::Server | Kind::Bidi);
        if self.status != 0 && !(self.headers_first && streaming) {
            return 0;
        }
        match self.kind {
            Kind::Server => self.response_count,
            Kind::Bidi => self.answers_each() * self.requests(),
            Kind::Unary | Kind::Client => 1,
        }
    }
}

impl FromIterator<Step> for Plan {
    fn from_iter<I: IntoIterator<Item = Step>>(steps: I) -> Self {
        Self {
            steps: steps.into_iter().collect(),
        }
    }
}
