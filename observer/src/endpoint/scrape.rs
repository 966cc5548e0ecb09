//! One scrape: rendered beside the endpoint's thread and shared by those who asked before it began.

use std::io::Write as _;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use crate::metrics::{Format, Registry, render};

/// What makes two scrapes the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variant {
    pub format: Format,
    pub gzip: bool,
}

/// One rendering at a time: a second core for scrapes is a core that the node's services do not have. Who waits for
/// the turn takes over a rendering that began after they asked, if it is of the same variant and somebody still
/// holds it; so a hundred scrapers at once cost a few renderings.
#[derive(Debug, Default)]
pub struct Renderer {
    turn: Mutex<Option<Latest>>,
    /// Counts renderings; read before waiting for the turn.
    begun: std::sync::atomic::AtomicU64,
}

#[derive(Debug)]
struct Latest {
    variant: Variant,
    number: u64,
    body: Weak<Vec<u8>>,
}

struct Shared(Arc<Vec<u8>>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Renderer {
    /// `None` if rendering panicked.
    pub async fn render(&self, registry: &Arc<Registry>, variant: Variant) -> Option<Bytes> {
        use std::sync::atomic::Ordering::SeqCst;
        let asked = self.begun.load(SeqCst);
        let mut turn = self.turn.lock().await;
        let shared = turn
            .as_ref()
            .filter(|latest| latest.variant == variant && latest.number > asked);
        if let Some(body) = shared.and_then(|latest| latest.body.upgrade()) {
            return Some(Bytes::from_owner(Shared(body)));
        }
        let number = self.begun.fetch_add(1, SeqCst) + 1;
        let registry = Arc::clone(registry);
        let body = spawn_blocking(move || Arc::new(encode(&registry, variant)))
            .await
            .ok()?;
        *turn = Some(Latest {
            variant,
            number,
            body: Arc::downgrade(&body),
        });
        Some(Bytes::from_owner(Shared(body)))
    }
}

fn encode(registry: &Registry, variant: Variant) -> Vec<u8> {
    let text = render::render(registry, variant.format);
    if !variant.gzip {
        return text;
    }
    // Level 1: exposition text shrinks to a few percent at any level.
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 8), Compression::fast());
    // Writing to a Vec does not fail.
    let _ = encoder.write_all(&text);
    encoder.finish().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn gzip_is_the_same_text() {
        let (_, registry) = crate::metrics::new(crate::metrics::Settings::default());
        let zipped = encode(
            &registry,
            Variant {
                format: Format::Text,
                gzip: true,
            },
        );
        let mut text = String::new();
        flate2::read::GzDecoder::new(&*zipped)
            .read_to_string(&mut text)
            .expect("gzip");
        assert!(text.contains("marty_observer_build_info{version="));
    }

    #[test]
    fn those_who_wait_share() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("runtime");
        runtime.block_on(async {
            let (_, registry) = crate::metrics::new(crate::metrics::Settings::default());
            let renderer = Renderer::default();
            let variant = Variant {
                format: Format::Text,
                gzip: false,
            };
            let ask = || renderer.render(&registry, variant);
            let (a, b, c, d) = tokio::join!(ask(), ask(), ask(), ask());
            let [a, b, c, d] = [a, b, c, d].map(|body| body.expect("rendered"));
            // The first began at once; the others asked before the second began, so they share that.
            assert_ne!(a.as_ptr(), b.as_ptr());
            assert!([&c, &d].iter().all(|body| body.as_ptr() == b.as_ptr()));
            let later = ask().await.expect("rendered");
            assert_ne!(later.as_ptr(), b.as_ptr());
        });
    }
}
