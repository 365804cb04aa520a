//! The records of YARN as Rust values: resources, containers, launch contexts, nodes.
//!
//! The generated messages in [`crate::proto`] are what travels; these types are what a program works with:
//! no optional field that is never absent, sizes with their unit in the name, ids of [`hadoop::ids`].
//! Conversions to messages are total (`From`), conversions from messages fail with
//! [`RecordError`] when the peer left out what nobody can do without.

mod container;
mod ids;
mod launch;
mod node;
mod resource;

pub use container::{
    AllocationRequestId, Container, ContainerState, ContainerStatus, ContainerSubState, ExecutionType,
    NmToken, Priority,
};
pub use ids::RecordError;
pub(crate) use launch::acls_from_wire;
pub use launch::{
    AclAccess, ContainerLaunchContext, LocalResource, LocalResourceType, ResourceUrl, ResourceVisibility,
    RetryContext, RetryPolicy,
};
pub use node::{NodeReport, NodeState};
pub use resource::Resource;
