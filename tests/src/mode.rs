//! The two ways to submit: a suite runs its jobs in both and expects the same of both.

use std::fmt;

/// Where the driver of a job runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In the ApplicationMaster.
    Cluster,
    /// In the client.
    Client,
}

impl Mode {
    /// Of the suites that are run as a whole in one mode and then in the other (`cargo xtask test --deploy-mode`).
    ///
    /// # Panics
    /// When the variable `TEST_DEPLOY_MODE` names no mode.
    #[must_use]
    pub fn of_run() -> Self {
        match std::env::var("TEST_DEPLOY_MODE").as_deref() {
            Err(_) | Ok("cluster") => Self::Cluster,
            Ok("client") => Self::Client,
            Ok(other) => panic!("TEST_DEPLOY_MODE is {other:?}; it is cluster or client"),
        }
    }
}

/// As `--deploy-mode` takes it.
impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cluster => "cluster",
            Self::Client => "client",
        })
    }
}

/// Makes two tests of each function that takes a [`Mode`]: `cluster_mode::NAME` and `client_mode::NAME`.
#[macro_export]
macro_rules! in_both_modes {
    ($($name:ident),+ $(,)?) => {
        mod cluster_mode {
            $(#[test]
            fn $name() {
                super::$name($crate::mode::Mode::Cluster);
            })+
        }
        mod client_mode {
            $(#[test]
            fn $name() {
                super::$name($crate::mode::Mode::Client);
            })+
        }
    };
}
