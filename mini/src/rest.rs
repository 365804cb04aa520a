//! The web interfaces: the ResourceManager's REST API, proxy and pages, and each NodeManager's REST API.
//!
//! Shapes are those of Hadoop 3.4.3, quirks included where programs can see them: numbers that are texts, objects in
//! the place of lists of one, keys that come twice.

mod application;
mod cluster;
mod error;
mod node;
mod pages;
mod proxy;
mod standby;
mod submission;

pub(crate) use cluster::ClusterSite;
pub(crate) use node::NodeSite;
