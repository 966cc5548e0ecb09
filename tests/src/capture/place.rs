//! Threads that live in a network namespace: their sockets do too, while the test itself stays where it is.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::thread::JoinHandle;

use anyhow::{Context as _, Result};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::process::Place;

/// Runs `work` on a thread of its own, in the namespace of `place`.
///
/// # Panics
/// When the namespace cannot be entered.
pub fn spawn<T: Send + 'static>(place: &Place, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let namespace = place.namespace.clone();
    std::thread::spawn(move || {
        if let Some(namespace) = namespace {
            enter(&namespace).expect("the namespace can be entered");
        }
        work()
    })
}

/// Runs `work` to its end on one thread with its own runtime. Everything that it spawns stays on that thread.
///
/// # Panics
/// When there is no runtime to be had.
pub fn spawn_async<T: Send + 'static, F: Future<Output = T>>(
    place: &Place,
    work: impl FnOnce() -> F + Send + 'static,
) -> JoinHandle<T> {
    spawn(place, move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        tokio::task::LocalSet::new().block_on(&runtime.expect("a runtime"), work())
    })
}

fn enter(namespace: &str) -> Result<()> {
    let path = format!("/run/netns/{namespace}");
    let file = File::open(&path).context(path)?;
    Ok(move_into_link_name_space(
        file.as_fd(),
        Some(LinkNameSpaceType::Network),
    )?)
}
