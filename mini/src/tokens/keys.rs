//! Which keys are good now (`AMRMTokenSecretManager`, `NMTokenSecretManagerInRM`, `RMContainerTokenSecretManager`).
//!
//! A key is a number that goes into the identifiers of tokens; passwords are keyed hashes of identifiers, so a new
//! number is a new key. A key of ApplicationMasters that was rolled is handed out at once and becomes the only one when
//! it is activated; keys of nodes and containers are good until the roll after the next.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The three kinds of tokens that an ApplicationMaster meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TokenKind {
    /// What it shows to the ResourceManager (`YARN_AM_RM_TOKEN`).
    Master,
    /// What it shows to a NodeManager (`NMToken`).
    Node,
    /// What it starts a container with (`ContainerToken`).
    Container,
}

/// The keys of one kind: the newest, and the oldest that is still good.
#[derive(Debug, Clone, Copy)]
struct Good {
    oldest: i32,
    newest: i32,
}

impl Good {
    const FIRST: Self = Self { oldest: 1, newest: 1 };
}

/// The keys of all kinds.
#[derive(Debug)]
pub(super) struct Rings {
    master: Mutex<Good>,
    node: Mutex<Good>,
    container: Mutex<Good>,
}

impl Default for Rings {
    fn default() -> Self {
        let first = || Mutex::new(Good::FIRST);
        Self {
            master: first(),
            node: first(),
            container: first(),
        }
    }
}

impl Rings {
    fn of(&self, kind: TokenKind) -> MutexGuard<'_, Good> {
        let ring = match kind {
            TokenKind::Master => &self.master,
            TokenKind::Node => &self.node,
            TokenKind::Container => &self.container,
        };
        ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key that new tokens are made with.
    pub(super) fn newest(&self, kind: TokenKind) -> i32 {
        self.of(kind).newest
    }

    pub(super) fn is_good(&self, kind: TokenKind, key: i32) -> bool {
        let good = self.of(kind);
        (good.oldest..=good.newest).contains(&key)
    }

    /// A new key; the one before it stays good.
    pub(super) fn roll(&self, kind: TokenKind) {
        let mut good = self.of(kind);
        good.oldest = good.newest;
        good.newest += 1;
    }

    /// From now on only the newest key is good.
    pub(super) fn activate(&self, kind: TokenKind) {
        let mut good = self.of(kind);
        good.oldest = good.newest;
    }

    /// Whether an older key than the newest is good, too.
    pub(super) fn is_rolling(&self, kind: TokenKind) -> bool {
        let good = self.of(kind);
        good.oldest < good.newest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_good_until_the_roll_after_the_next() {
        let rings = Rings::default();
        rings.roll(TokenKind::Node);
        assert!(rings.is_good(TokenKind::Node, 1) && rings.is_good(TokenKind::Node, 2));
        rings.roll(TokenKind::Node);
        assert!(!rings.is_good(TokenKind::Node, 1) && rings.is_good(TokenKind::Node, 3));
        assert!(rings.is_good(TokenKind::Container, 1));
    }

    #[test]
    fn activation_ends_the_older_key() {
        let rings = Rings::default();
        rings.roll(TokenKind::Master);
        assert!(rings.is_rolling(TokenKind::Master));
        rings.activate(TokenKind::Master);
        assert!(!rings.is_rolling(TokenKind::Master) && !rings.is_good(TokenKind::Master, 1));
    }
}
