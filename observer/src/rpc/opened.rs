//! Which streams were opened and never seen. The ids of requests have no holes: what is skipped behind a loss was
//! opened while nothing was heard. So calls that left no trace are counted, too, as soon as a later id is seen.

use crate::http2::StreamId;

/// So long after the last news of a hole it is told. What was opened in it and is heard of later than that (the end of a
/// long stream) is counted twice: as not seen, and as a call whose request was not seen.
pub(super) const PATIENCE: u64 = 60_000_000_000;
/// GOAWAY names this before a server knows what it will still process.
const NO_LAST: u32 = 0x7fff_ffff;

#[derive(Debug)]
pub(super) struct Opened {
    /// The id that the next request has, if none is lost. `None`: no request was seen, and some may have been before.
    next: Option<u32>,
    /// Where the latest hole began; it ends at `next`.
    hole: u32,
    /// Whether requests may have been lost since the last that was seen.
    is_doubtful: bool,
    /// Streams from `next` on that something else than their request told of.
    heard: u32,
    /// The highest id that anything told of.
    highest: u32,
    /// In holes, and not seen yet.
    missing: u32,
    /// When a hole was found or got smaller.
    time: u64,
}

impl Opened {
    pub(super) const fn new(joined: bool) -> Self {
        Self {
            next: if joined { None } else { Some(1) },
            hole: 0,
            is_doubtful: false,
            heard: 0,
            highest: 0,
            missing: 0,
            time: 0,
        }
    }

    /// Requests may be lost from here on.
    pub(super) const fn lose(&mut self) {
        self.is_doubtful = true;
    }

    /// The request of a stream. `heard`: a response came before it.
    pub(super) fn request(&mut self, stream: StreamId, heard: bool, time: u64) {
        let number = stream.number();
        let Some(next) = self.next else {
            self.next = Some(number.saturating_add(2));
            return;
        };
        if number < next {
            return;
        }
        if self.is_doubtful {
            let others = self.heard.saturating_sub(u32::from(heard));
            let skipped = ((number - next) / 2).saturating_sub(others);
            self.missing = self.missing.saturating_add(skipped);
            self.hole = next;
            self.time = time;
        }
        self.next = Some(number.saturating_add(2));
        self.is_doubtful = false;
        self.heard = 0;
    }

    /// The first that is seen of a stream is not its request.
    pub(super) fn response(&mut self, stream: StreamId, time: u64) {
        let number = stream.number();
        let Some(next) = self.next else { return };
        if number >= next {
            self.heard = self.heard.saturating_add(1);
            self.highest = self.highest.max(number);
        } else if number >= self.hole {
            self.missing = self.missing.saturating_sub(1);
            self.time = time;
        }
    }

    /// Something else tells that the stream was opened.
    pub(super) fn hint(&mut self, stream: StreamId) {
        if self.is_doubtful && stream.is_client_initiated() && stream.number() != NO_LAST {
            self.highest = self.highest.max(stream.number());
        }
    }

    /// The connection is gone: how many were not seen.
    pub(super) fn close(&mut self) -> u32 {
        if let Some(next) = self.next
            && let Some(beyond) = self.highest.checked_sub(next)
        {
            let skipped = (beyond / 2 + 1).saturating_sub(self.heard);
            self.missing = self.missing.saturating_add(skipped);
            self.next = Some(self.highest.saturating_add(2));
            self.heard = 0;
        }
        std::mem::take(&mut self.missing)
    }

    /// How many were not seen, once nothing more is to be expected of them.
    pub(super) fn expire(&mut self, time: u64) -> u32 {
        if self.missing > 0 && time.saturating_sub(self.time) >= PATIENCE {
            return std::mem::take(&mut self.missing);
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    enum Seen {
        Request(u32),
        Response(u32),
        Hint(u32),
        Loss,
    }
    use Seen::{Hint, Loss, Request, Response};

    #[track_caller]
    fn check(joined: bool, seen: &[Seen], missing: u32) {
        let mut opened = Opened::new(joined);
        let mut responses = Vec::new();
        for one in seen {
            match one {
                Request(stream) => {
                    opened.request(StreamId::new(*stream), responses.contains(stream), 0);
                }
                Response(stream) => {
                    responses.push(*stream);
                    opened.response(StreamId::new(*stream), 0);
                }
                Hint(stream) => opened.hint(StreamId::new(*stream)),
                Loss => opened.lose(),
            }
        }
        assert_eq!((opened.close(), opened.close()), (missing, 0));
    }

    #[test]
    fn nothing_lost() {
        check(false, &[Request(1), Request(3), Request(5)], 0);
        // Ids may be skipped.
        check(false, &[Request(3), Request(9)], 0);
    }

    #[test]
    fn a_hole() {
        check(false, &[Request(1), Loss, Request(9)], 3);
        check(false, &[Loss, Request(9), Loss, Request(11)], 4);
    }

    #[test]
    fn answers_out_of_the_hole() {
        check(false, &[Request(1), Loss, Request(9), Response(5)], 2);
        check(false, &[Request(1), Response(5), Loss, Request(9)], 2);
        check(false, &[Request(1), Response(9), Loss, Request(9)], 3);
    }

    #[test]
    fn the_end_of_the_connection_is_in_the_hole() {
        check(false, &[Request(1), Response(7)], 2);
        check(false, &[Request(1), Loss, Hint(7)], 3);
        check(false, &[Request(1), Loss, Hint(NO_LAST)], 0);
        check(false, &[Request(1), Hint(7)], 0);
    }

    #[test]
    fn joined_in_the_middle() {
        check(true, &[Response(3), Request(9), Response(5)], 0);
        check(true, &[Request(9), Loss, Request(13)], 1);
    }

    #[test]
    fn told_late_where_the_connection_goes_on() {
        let mut opened = Opened::new(false);
        opened.lose();
        opened.request(StreamId::new(5), false, 10);
        assert_eq!(opened.expire(PATIENCE), 0);
        assert_eq!((opened.expire(PATIENCE + 10), opened.close()), (2, 0));
    }
}
