//! What the one who looks has chosen, and what each key does to it.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::model::{Grouping, Side};
use super::table::Sort;

/// Lines of a page: less than the smallest screen shows, so that nothing is jumped over.
const PAGE: usize = 10;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    pub side: Side,
    pub grouping: Grouping,
    pub sort: Sort,
    /// First row shown; more than there are means the last page.
    pub scrolled: usize,
    pub paused: bool,
    pub help: bool,
    pub quit: bool,
}

impl Default for View {
    fn default() -> Self {
        Self {
            side: Side::Server,
            grouping: Grouping::Methods,
            sort: Sort::Rate,
            scrolled: 0,
            paused: false,
            help: false,
            quit: false,
        }
    }
}

impl View {
    pub fn press(&mut self, key: KeyEvent) {
        match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => self.quit = true,
            KeyCode::Esc if self.help => self.help = false,
            KeyCode::Char('q') | KeyCode::Esc => self.quit = true,
            KeyCode::Char('s') => self.sort = self.sort.next(),
            KeyCode::Char('p' | ' ') => self.paused = !self.paused,
            KeyCode::Char('?' | 'h') => self.help = !self.help,
            KeyCode::Char('c') => {
                self.scrolled = 0;
                self.side = match self.side {
                    Side::Server => Side::Client,
                    Side::Client => Side::Server,
                };
            }
            KeyCode::Char('m') => {
                self.scrolled = 0;
                self.grouping = match self.grouping {
                    Grouping::Methods => Grouping::Services,
                    Grouping::Services => Grouping::Methods,
                };
            }
            KeyCode::Down | KeyCode::Char('j') => self.scrolled = self.scrolled.saturating_add(1),
            KeyCode::Up | KeyCode::Char('k') => self.scrolled = self.scrolled.saturating_sub(1),
            KeyCode::PageDown => self.scrolled = self.scrolled.saturating_add(PAGE),
            KeyCode::PageUp => self.scrolled = self.scrolled.saturating_sub(PAGE),
            KeyCode::Home => self.scrolled = 0,
            KeyCode::End => self.scrolled = usize::MAX,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(keys: &[KeyCode], change: impl FnOnce(&mut View)) {
        let (mut view, mut expected) = (View::default(), View::default());
        change(&mut expected);
        for key in keys {
            view.press(KeyEvent::from(*key));
        }
        assert_eq!(view, expected, "{keys:?}");
    }

    #[test]
    fn keys() {
        use KeyCode::{Char, Down, End, Esc, Home, PageDown, PageUp, Up};
        check(&[Char('q')], |view| view.quit = true);
        check(&[Char('x')], |_| {});
        check(&[Char('s')], |view| view.sort = Sort::Errors);
        check(&[Char('p')], |view| view.paused = true);
        check(&[Char('?'), Esc], |_| {});
        check(&[Down, Char('c')], |view| view.side = Side::Client);
        check(&[Down, Char('m')], |view| view.grouping = Grouping::Services);
        check(&[Up, Down, Char('j'), Char('k')], |view| view.scrolled = 1);
        check(&[PageDown, PageDown, PageUp], |view| view.scrolled = PAGE);
        check(&[End, Down], |view| view.scrolled = usize::MAX);
        check(&[End, Home], |_| {});
    }

    #[test]
    fn control_c() {
        let mut view = View::default();
        view.press(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL));
        assert!(view.quit);
    }
}
