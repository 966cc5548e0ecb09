//! Taking the terminal and giving it back as it was.

use anyhow::Context as _;
use ratatui::DefaultTerminal;

/// Gives the terminal back however its owner ends. A panic may abort the process before this is dropped: then
/// ratatui's panic hook does the same.
struct Restore;

impl Drop for Restore {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Does `act` in the alternate screen, where keys come one by one.
pub fn with<T>(act: impl FnOnce(&mut DefaultTerminal) -> anyhow::Result<T>) -> anyhow::Result<T> {
    // Before it is taken, so that a failure halfway is undone as well.
    let _restore = Restore;
    let mut terminal = ratatui::try_init().context("cannot take the terminal")?;
    act(&mut terminal)
}
