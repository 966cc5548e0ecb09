//! A TCP stream whose application side is recorded, frame by frame, as it is written and read.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use rustix::net::Shutdown;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::wire::Recording;

/// What one application saw of one connection.
#[derive(Debug)]
pub struct End {
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub sent: Recording,
    pub received: Recording,
}

/// How far one application was at some moment, in frames.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub sent: usize,
}

/// Clones share the stream and the recordings.
#[derive(Debug, Clone)]
pub struct Tap {
    stream: Arc<TcpStream>,
    /// Asked for at once: a closed socket has no peer any more.
    addresses: [SocketAddr; 2],
    sent: Arc<Mutex<Recording>>,
    received: Arc<Mutex<Recording>>,
}

impl Tap {
    pub fn new(stream: TcpStream) -> io::Result<Self> {
        // As gRPC implementations do.
        stream.set_nodelay(true)?;
        let addresses = [stream.local_addr()?, stream.peer_addr()?];
        Ok(Self {
            stream: Arc::new(stream),
            addresses,
            sent: Arc::default(),
            received: Arc::default(),
        })
    }

    /// Its two addresses, and how many frames were sent so far.
    pub fn mark(&self) -> Mark {
        let [local, remote] = self.addresses;
        Mark {
            local,
            remote,
            sent: held(&self.sent).frames.len(),
        }
    }

    /// Reads what the other end still sends, so that the kernel has no reason for a reset, and closes.
    pub async fn finish(self) -> io::Result<End> {
        close_sending(&self.stream)?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            self.stream.readable().await?;
            match self.stream.try_read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => held(&self.received).feed(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        let [local, remote] = self.addresses;
        Ok(End {
            local,
            remote,
            sent: std::mem::take(&mut held(&self.sent)),
            received: std::mem::take(&mut held(&self.received)),
        })
    }
}

fn held(recording: &Mutex<Recording>) -> MutexGuard<'_, Recording> {
    recording.lock().unwrap_or_else(PoisonError::into_inner)
}

fn close_sending(stream: &TcpStream) -> io::Result<()> {
    match rustix::net::shutdown(stream, Shutdown::Write) {
        // Closed before.
        Ok(()) | Err(rustix::io::Errno::NOTCONN) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

impl AsyncRead for Tap {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.stream.poll_read_ready(cx))?;
            match self.stream.try_read(buffer.initialize_unfilled()) {
                Ok(read) => {
                    held(&self.received).feed(&buffer.initialize_unfilled()[..read]);
                    buffer.advance(read);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Tap {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_write_ready(cx))?;
            match self.stream.try_write_vectored(slices) {
                Ok(written) => {
                    let mut left = written;
                    for slice in slices {
                        let taken = slice.len().min(left);
                        held(&self.sent).feed(&slice[..taken]);
                        left -= taken;
                    }
                    return Poll::Ready(Ok(written));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(close_sending(&self.stream))
    }
}
