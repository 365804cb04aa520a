//! Replacing the ApplicationMaster on order, as the client and this process see it.
//!
//! Whoever may write to the application's staging directory may order it: an empty directory [`order`] there says that
//! this attempt is to be replaced. The pages cannot know who asks for them, so [`PATH`] only has the ApplicationMaster
//! look whether the order is there.
//!
//! The attempt then gives its own container back (`AllocateRequest.releaseList`). The ResourceManager ends the attempt
//! with the exit status -100 (`ContainerExitStatus.ABORTED`), which `RMAppAttemptImpl` does not count as a failure of
//! the application, so that the order works however often an ApplicationMaster has failed; and it starts the next
//! attempt at once. Only where one attempt is all that is allowed, YARN starts no other whatever ended the first
//! (`RMAppImpl.AttemptFailedTransition`).

use serde::{Deserialize, Serialize};
use wire::id::Epoch;

/// The page that has the ApplicationMaster look, relative to its root.
pub const PATH: &str = "api/v1/drawloom/orders";

/// The directory of the owner's orders, in the staging directory.
pub const ORDERS: &str = "orders";

/// Where an order to replace an attempt is left, relative to the staging directory.
#[must_use]
pub fn order(attempt: Epoch) -> String {
    format!("{ORDERS}/restart-{attempt}")
}

/// The answer of [`PATH`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The attempt that answers.
    pub attempt: Epoch,
    /// Why it is not about to be replaced; nothing when it is.
    #[serde(default)]
    pub refused: Option<String>,
}
