//! A connection that ends when its other side takes too long: to ask, or to read the answer.
//!
//! Three phases, each with its limit: idle (nothing received since the last answer), asking (something received,
//! nothing answered), answering (something written, not all of it taken). Progress does not extend a limit, so a byte
//! every now and then keeps nothing alive.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::Limits;
use super::seats::Seat;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Asking,
    Answering,
}

/// The place of an answer that is not read yet. Given up when the last byte of it is taken.
#[derive(Clone, Debug, Default)]
pub struct Unread(Arc<Mutex<Option<Seat>>>);

impl Unread {
    pub fn hold(&self, seat: Seat) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(seat);
    }

    pub fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[derive(Debug)]
pub struct Stall<S> {
    stream: S,
    limits: Limits,
    phase: Phase,
    deadline: Pin<Box<Sleep>>,
    unread: Unread,
}

impl<S> Stall<S> {
    pub fn new(stream: S, limits: Limits, unread: Unread) -> Self {
        // A new connection is made in order to ask.
        let deadline = Box::pin(sleep(limits.request));
        Self {
            stream,
            limits,
            phase: Phase::Idle,
            deadline,
            unread,
        }
    }

    fn enter(&mut self, phase: Phase) {
        if self.phase == phase {
            return;
        }
        self.phase = phase;
        let limit: Duration = match phase {
            Phase::Idle => self.limits.idle,
            Phase::Asking => self.limits.request,
            Phase::Answering => self.limits.response,
        };
        self.deadline.as_mut().reset(Instant::now() + limit);
    }

    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.deadline.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stall<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if self.phase == Phase::Idle && polled.is_ready() && buf.filled().len() > before {
            self.enter(Phase::Asking);
        }
        if polled.is_pending() {
            self.check(cx)?;
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stall<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.enter(Phase::Answering);
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.enter(Phase::Answering);
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes when it has handed over all it had: then the answer is out.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.phase == Phase::Answering {
            self.check(cx)?;
        }
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        if self.phase == Phase::Answering {
            self.enter(Phase::Idle);
            self.unread.clear();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    fn limits() -> Limits {
        Limits {
            idle: Duration::from_secs(100),
            request: Duration::from_secs(10),
            response: Duration::from_secs(20),
            ..Limits::default()
        }
    }

    /// tokio's clock stands still and jumps to the next deadline: exact, and no waiting.
    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build();
        runtime.expect("runtime").block_on(test);
    }

    async fn read_error(stall: &mut Stall<tokio::io::DuplexStream>, expected: Duration) {
        let begun = Instant::now();
        let mut all = Vec::new();
        let error = stall.read_to_end(&mut all).await.expect_err("must time out");
        assert_eq!(
            (error.kind(), begun.elapsed()),
            (io::ErrorKind::TimedOut, expected)
        );
    }

    #[test]
    fn never_asks() {
        run(async {
            let (_client, server) = duplex(64);
            read_error(
                &mut Stall::new(server, limits(), Unread::default()),
                Duration::from_secs(10),
            )
            .await;
        });
    }

    #[test]
    fn asks_a_byte_at_a_time() {
        run(async {
            let (mut client, server) = duplex(64);
            let mut stall = Stall::new(server, limits(), Unread::default());
            tokio::spawn(async move {
                while client.write_all(b"x").await.is_ok() {
                    sleep(Duration::from_secs(3)).await;
                }
            });
            read_error(&mut stall, Duration::from_secs(10)).await;
        });
    }

    #[test]
    fn reads_a_byte_at_a_time() {
        run(async {
            let (mut client, server) = duplex(4);
            let mut stall = Stall::new(server, limits(), Unread::default());
            tokio::spawn(async move {
                while client.read_u8().await.is_ok() {
                    sleep(Duration::from_secs(3)).await;
                }
            });
            let begun = Instant::now();
            let error = stall.write_all(&[0; 1000]).await.expect_err("must time out");
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            // Noticed when it writes next or at the deadline, whichever is first.
            assert!(
                begun.elapsed() <= Duration::from_secs(21),
                "{:?}",
                begun.elapsed()
            );
        });
    }

    #[test]
    fn reads_nothing() {
        run(async {
            let (_client, server) = duplex(4);
            let mut stall = Stall::new(server, limits(), Unread::default());
            let begun = Instant::now();
            let error = stall.write_all(&[0; 1000]).await.expect_err("must time out");
            assert_eq!(
                (error.kind(), begun.elapsed()),
                (io::ErrorKind::TimedOut, Duration::from_secs(20))
            );
        });
    }

    #[test]
    fn idle_after_an_answer() {
        run(async {
            let (mut client, server) = duplex(64);
            let mut stall = Stall::new(server, limits(), Unread::default());
            client.write_all(b"ask").await.expect("write");
            let mut asked = [0; 3];
            stall.read_exact(&mut asked).await.expect("read");
            stall.write_all(b"answer").await.expect("write");
            stall.flush().await.expect("flush");
            read_error(&mut stall, Duration::from_secs(100)).await;
        });
    }
}
