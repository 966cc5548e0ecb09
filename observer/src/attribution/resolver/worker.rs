//! The resolver's thread: takes questions, answers those it can, keeps the others until the file system or the
//! catalog knows more or they have waited long enough.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use observer_ebpf::record::{Role, Socket};

use super::super::identity::{Identity, Source};
use super::burst::Burst;
use super::limit::Limits;
use super::{Found, Reach, Resolver};

#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// Cookie of the socket; 0 where nobody waits (an answer that is only to be renewed).
    pub connection: u64,
    pub socket: Socket,
    pub asked: Instant,
    /// Whether a better answer is worth waiting for. It is not where there is a name already.
    pub patient: bool,
}

#[derive(Clone, Debug)]
pub struct Answer {
    pub connection: u64,
    pub socket: Socket,
    pub identity: Arc<Identity>,
    pub reach: Reach,
    /// Empty for a socket that was accepted: its other end is no service.
    pub peer: Arc<str>,
}

/// How long a call waits for its pod: a watch tells of a pod before its first container is started, so only an API
/// server that is slow or away lets it come to that.
pub const MAX_WAIT: Duration = Duration::from_secs(3);

/// Questions that wait; above, an answer is the best that is known at once.
const MAX_WAITING: usize = 8192;

/// How often what waits is tried again.
const RETRY: Duration = Duration::from_millis(100);

/// The thread's state.
#[derive(Debug)]
pub struct Worker {
    pub resolver: Resolver,
    pub answers: Sender<Answer>,
    pub limits: Arc<Limits>,
    pub burst: Burst,
}

impl Worker {
    /// Runs until the other side is gone.
    pub fn run(mut self, questions: &Receiver<Question>) {
        let mut waiting: Vec<Question> = Vec::new();
        let mut tried = Instant::now();
        loop {
            let question = if waiting.is_empty() {
                questions.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                questions.recv_timeout(RETRY)
            };
            let now = Instant::now();
            match question {
                Ok(question) => {
                    let last = waiting.len() >= MAX_WAITING;
                    if !self.answer(&question, now, last) {
                        waiting.push(question);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if now.saturating_duration_since(tried) >= RETRY {
                waiting.retain(|question| !self.answer(question, now, false));
                tried = now;
            }
            self.limits.note(&self.resolver.host);
        }
    }

    fn answer(&mut self, question: &Question, now: Instant, hurry: bool) -> bool {
        let Question {
            connection,
            socket,
            asked,
            patient,
        } = *question;
        let calls = Role::from_raw(socket.role) != Role::Passive;
        let known = self.burst.get(&socket, calls, asked);
        let (Found { identity, reach }, peer) = if let Some(known) = known {
            known
        } else {
            let last = hurry || !patient || now.saturating_duration_since(asked) >= MAX_WAIT;
            let Some(found) = self.resolver.identify(&socket, now, last) else {
                return false;
            };
            let peer = if calls {
                self.resolver.peer(&socket, now)
            } else {
                "".into()
            };
            self.burst.put(&socket, calls, &found, &peer, now);
            (found, peer)
        };
        self.limits.answered(identity.source == Source::Unknown);
        // Nobody listens any more when the daemon ends; the next receive says so.
        let _ = self.answers.send(Answer {
            connection,
            socket,
            identity,
            reach,
            peer,
        });
        true
    }
}
