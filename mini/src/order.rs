//! What may be made to befall a cluster.

use std::time::Duration;

use crate::resource_manager::{Contract, Recovery};
use crate::tokens::TokenKind;

/// Something that befalls the cluster. Nodes are numbered from 1; containers by the number at the end of their ids,
/// in whatever application holds them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// The node is switched off, and the ResourceManager knows it at once.
    LoseNode(usize),
    /// The node's host stands still: nothing on it runs, nothing is answered, until it goes on.
    FreezeNode(usize),
    /// It goes on.
    ThawNode(usize),
    /// The node and the ResourceManager do not reach each other; ApplicationMasters reach both.
    PartNode(usize),
    /// They do again.
    RejoinNode(usize),
    /// The NodeManager ends.
    StopNode {
        /// Which.
        node: usize,
        /// In good order: it kills its containers and says goodbye. Otherwise, as by SIGKILL, they go on.
        graceful: bool,
    },
    /// A NodeManager that had ended, or a node that was lost, begins again.
    StartNode {
        /// Which.
        node: usize,
        /// Whether it finds its containers again (`yarn.nodemanager.recovery.enabled`).
        recovers: bool,
    },
    /// The node is taken out of service.
    DecommissionNode {
        /// Which.
        node: usize,
        /// How long its containers may take to end; none: they are killed at once.
        timeout: Option<Duration>,
    },
    /// The node is not taken out after all.
    RecommissionNode(usize),
    /// The node's disks are full: it is unhealthy, what runs there is lost, nothing new can start.
    FillDisk(usize),
    /// They are not any more.
    FreeDisk(usize),
    /// The node's clock is wrong.
    SkewClock {
        /// Which.
        node: usize,
        /// By so many milliseconds it is ahead; behind if negative.
        ahead_ms: i64,
    },
    /// A file cannot be fetched, on any node.
    RefuseFile {
        /// Its name in the working directory.
        name: String,
        /// Which of its fetches from now on, on each node.
        nth: u32,
        /// The words of the failure.
        text: String,
    },
    /// The active ResourceManager ends, as by SIGKILL.
    StopResourceManager,
    /// It begins again.
    StartResourceManager(Recovery),
    /// Both, in no time.
    RestartResourceManager(Recovery),
    /// The active ResourceManager stands still: it takes calls and does not answer them.
    FreezeResourceManager,
    /// It goes on.
    ThawResourceManager,
    /// The other ResourceManager takes over; the one that was active becomes its standby. With one it is a restart.
    FailOver,
    /// Tokens of this kind get a new key. That of ApplicationMasters is handed to them with their next answers.
    RollKey(TokenKind),
    /// A rolled key of ApplicationMasters is the only one from now on.
    ActivateKey,
    /// No token of this kind that was made until now is good any more, and connections that were opened with one end.
    ExpireTokens(TokenKind),
    /// Containers are taken from their application.
    Preempt {
        /// Which.
        containers: Vec<u64>,
        /// What is said beforehand, if anything is, and how long.
        announced: Option<(Contract, Duration)>,
    },
    /// The process of a container dies by SIGKILL.
    KillContainer(u64),
    /// The processes of a container stand still.
    FreezeContainer(u64),
    /// They go on.
    ThawContainer(u64),
    /// The processes of all ApplicationMasters die by SIGKILL.
    KillMasters,
    /// The processes of all ApplicationMasters stand still.
    FreezeMasters,
    /// Those that were made to stand still go on, also those of attempts that are over.
    ThawMasters,
}
