//! Log lines on standard error: one line each, as text or JSON, and not the same line a thousand times.
//!
//! Header values, passwords and hashes are never logged; that is up to those who log, and to the `Debug` of the types.

pub mod one_line;
pub mod rate_limit;

use std::sync::Arc;

use anyhow::Context as _;
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::{Registry, fmt};

use crate::clock::Clock;
use crate::config::LogFormat;
use crate::metrics;
use one_line::OneLine;
use rate_limit::RateLimit;

/// For the whole process, once.
pub fn start(
    format: LogFormat,
    level: Level,
    clock: Arc<dyn Clock>,
    registry: Arc<metrics::Registry>,
) -> anyhow::Result<()> {
    let subscriber = subscriber(format, level, RateLimit::new(clock, registry), std::io::stderr);
    tracing::subscriber::set_global_default(subscriber).context("logging was started before")
}

fn subscriber<W>(format: LogFormat, level: Level, limit: RateLimit, out: W) -> impl tracing::Subscriber
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = match format {
        LogFormat::Text => fmt::layer()
            .with_target(false)
            .with_ansi(false)
            .with_writer(OneLine(out))
            .boxed(),
        LogFormat::Json => fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_writer(out)
            .boxed(),
    };
    Registry::default()
        .with(lines)
        .with(limit)
        .with(LevelFilter::from_level(level))
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Mutex, PoisonError};

    use super::*;
    use crate::clock::ManualClock;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, level: Level, log: impl FnOnce(&ManualClock)) -> (Vec<String>, u64) {
        let memory = Memory::default();
        let out = memory.clone();
        let clock = Arc::new(ManualClock::default());
        let registry = metrics::new(metrics::Settings::default()).1;
        let limit = RateLimit::new(Arc::clone(&clock) as Arc<dyn Clock>, Arc::clone(&registry));
        let subscriber = subscriber(format, level, limit, move || out.clone());
        tracing::subscriber::with_default(subscriber, || log(&clock));
        let text = String::from_utf8(memory.0.lock().expect("free").clone()).expect("text");
        (
            text.lines().map(str::to_owned).collect(),
            registry.own().log_suppressed.get(),
        )
    }

    #[test]
    fn text_is_one_line() {
        let (lines, _) = logged(LogFormat::Text, Level::INFO, |_| {
            tracing::info!(path = %"/a\nforged line\u{1b}[31m", "seen");
            tracing::debug!("not at this level");
        });
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(
            lines[0].contains("INFO seen path=/a") && !lines[0].chars().any(char::is_control),
            "{lines:?}"
        );
    }

    #[test]
    fn json_is_one_object() {
        let (lines, _) = logged(LogFormat::Json, Level::DEBUG, |_| {
            tracing::warn!(path = %"/a\n\"b\"", count = 3, "seen");
        });
        let object: serde_json::Value = serde_json::from_str(&lines[0]).expect("JSON");
        assert_eq!(lines.len(), 1);
        assert_eq!(
            (&object["level"], &object["message"]),
            (&"WARN".into(), &"seen".into())
        );
        assert_eq!(
            (&object["path"], &object["count"]),
            (&"/a\n\"b\"".into(), &3.into())
        );
        assert!(object["timestamp"].is_string());
    }

    #[test]
    fn the_same_warning_again_and_again() {
        let (lines, suppressed) = logged(LogFormat::Text, Level::INFO, |clock| {
            let warn = |index: usize| tracing::warn!(index, "again");
            (0..100).for_each(warn);
            tracing::warn!("another");
            clock.advance(u64::try_from(rate_limit::WINDOW.as_nanos()).expect("small"));
            warn(100);
        });
        assert_eq!(lines.len(), rate_limit::MAX_IN_WINDOW + 2, "{lines:?}");
        assert_eq!(suppressed, 100 - rate_limit::MAX_IN_WINDOW as u64);
    }

    #[test]
    fn information_is_not_limited() {
        let (lines, suppressed) = logged(LogFormat::Text, Level::INFO, |_| {
            (0..50).for_each(|index| tracing::info!(index, "done"));
        });
        assert_eq!((lines.len(), suppressed), (50, 0));
    }
}
