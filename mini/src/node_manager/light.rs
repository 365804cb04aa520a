//! Containers without processes: tasks of this one, for as many executors as no machine could start.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use hadoop::ids::ContainerId;
use yarn_rpc::records::Resource;

use crate::resource_manager::NodeFacts;

/// What a light container is to do.
#[derive(Debug, Clone)]
pub struct LightLaunch {
    /// Its id.
    pub container: ContainerId,
    /// Its node.
    pub node: NodeFacts,
    /// What it may use.
    pub resource: Resource,
    /// The commands, as they were sent.
    pub commands: Vec<String>,
    /// Its variables: Hadoop's own, and those of its launch context without the escapes of shells. Names of other
    /// variables in them are not replaced.
    pub environment: BTreeMap<String, String>,
    /// Its credentials, as they were sent.
    pub credentials: Vec<u8>,
}

/// A light container's life; its value is the exit code.
pub type LightLife = Pin<Box<dyn Future<Output = i32> + Send>>;

/// Runs containers as tasks instead of processes; those of ApplicationMasters stay processes. Nothing is fetched for
/// them, and they have no directories. One that is killed is dropped where it stands.
#[derive(Clone)]
pub struct LightContainers(Arc<dyn Fn(LightLaunch) -> LightLife + Send + Sync>);

impl LightContainers {
    /// Containers that live as `life` makes them.
    #[must_use]
    pub fn new<F: Future<Output = i32> + Send + 'static>(
        life: impl Fn(LightLaunch) -> F + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(move |launch| Box::pin(life(launch))))
    }

    pub(super) fn begin(&self, launch: LightLaunch) -> LightLife {
        (self.0)(launch)
    }
}

impl fmt::Debug for LightContainers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LightContainers").finish_non_exhaustive()
    }
}
