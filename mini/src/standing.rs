//! Which of the ResourceManagers is active (`AdminService`, `RMWebAppFilter`).

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a ResourceManager does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It serves. At most one does.
    Active,
    /// It says who serves; only its web port is open.
    Standby,
    /// It does not run.
    Down,
}

/// Addresses of one ResourceManager, each `host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Addresses {
    /// For ApplicationMasters.
    pub(crate) scheduler: String,
    /// For clients.
    pub(crate) client: String,
    /// REST, pages, proxy.
    pub(crate) web: String,
}

/// All ResourceManagers of a cluster.
#[derive(Debug)]
pub(crate) struct Standing {
    addresses: Vec<Addresses>,
    roles: Mutex<Roles>,
}

#[derive(Debug)]
struct Roles {
    of: Vec<Role>,
    /// Who is, or was last, active.
    latest: usize,
}

impl Standing {
    /// The first one is active.
    pub(crate) fn new(addresses: Vec<Addresses>) -> Self {
        let mut of = vec![Role::Standby; addresses.len()];
        if let Some(first) = of.first_mut() {
            *first = Role::Active;
        }
        let roles = Mutex::new(Roles { of, latest: 0 });
        Self { addresses, roles }
    }

    fn roles(&self) -> MutexGuard<'_, Roles> {
        self.roles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn addresses(&self) -> &[Addresses] {
        &self.addresses
    }

    pub(crate) fn role(&self, index: usize) -> Role {
        self.roles().of.get(index).copied().unwrap_or(Role::Down)
    }

    /// Who serves now.
    pub(crate) fn active(&self) -> Option<usize> {
        let roles = self.roles();
        roles.of.iter().position(|role| *role == Role::Active)
    }

    /// Who serves, or did so last.
    pub(crate) fn latest(&self) -> &Addresses {
        &self.addresses[self.roles().latest]
    }

    /// The active one ends.
    pub(crate) fn stop(&self) {
        let mut roles = self.roles();
        for role in roles.of.iter_mut().filter(|role| **role == Role::Active) {
            *role = Role::Down;
        }
    }

    /// Whoever does not run begins: as the active one if there is none and it was that last. Gives whether it is.
    pub(crate) fn start(&self) -> bool {
        let mut roles = self.roles();
        let vacant = !roles.of.contains(&Role::Active);
        for role in roles.of.iter_mut().filter(|role| **role == Role::Down) {
            *role = Role::Standby;
        }
        let latest = roles.latest;
        if vacant {
            roles.of[latest] = Role::Active;
        }
        vacant
    }

    /// The next one takes over; the one before becomes its standby, unless it does not run.
    pub(crate) fn fail_over(&self) {
        let mut roles = self.roles();
        for role in roles.of.iter_mut().filter(|role| **role == Role::Active) {
            *role = Role::Standby;
        }
        roles.latest = (roles.latest + 1) % roles.of.len();
        let latest = roles.latest;
        roles.of[latest] = Role::Active;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> Standing {
        let one = |n: u8| Addresses {
            scheduler: format!("s{n}"),
            client: format!("c{n}"),
            web: format!("w{n}"),
        };
        Standing::new(vec![one(1), one(2)])
    }

    #[test]
    fn the_other_takes_over_and_the_first_may_come_back_as_its_standby() {
        let standing = two();
        standing.stop();
        assert_eq!((standing.active(), standing.role(0)), (None, Role::Down));
        standing.fail_over();
        assert_eq!((standing.active(), standing.role(0)), (Some(1), Role::Down));
        assert!(!standing.start());
        assert_eq!((standing.active(), standing.role(0)), (Some(1), Role::Standby));
        assert_eq!(standing.latest().web, "w2");
    }

    #[test]
    fn who_was_active_last_is_so_again_when_nobody_took_over() {
        let standing = two();
        standing.stop();
        assert!(standing.start());
        assert_eq!((standing.active(), standing.role(1)), (Some(0), Role::Standby));
    }
}
