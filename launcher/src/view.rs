//! The launcher as pages, metrics and logs show it.

use std::collections::BTreeMap;
use std::time::Duration;

use wire::id::ExecutorId;

use super::core::{Launcher, Totals};
use super::nodes::{History, NodeName};
use super::record::Record;

/// The number of containers by phase, and what is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    /// Wanted executors.
    pub target: u32,
    /// Asked for and not granted.
    pub asked: u32,
    /// Granted, start under way.
    pub starting: u32,
    /// Taken over by NodeManagers, not registered.
    pub started: u32,
    /// Registered.
    pub registered: u32,
    /// Stopped, end not confirmed.
    pub stopping: u32,
}

impl Launcher {
    /// The numbers of the moment.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut by_word: BTreeMap<&str, u32> = BTreeMap::new();
        for record in self.records.values() {
            *by_word.entry(record.phase.word()).or_default() += 1;
        }
        let of = |word| by_word.get(word).copied().unwrap_or(0);
        Counts {
            target: self.wanted(),
            asked: self.asks.outstanding(),
            starting: of("starting"),
            started: of("started"),
            registered: of("registered"),
            stopping: of("stopping"),
        }
    }

    /// Containers that have not ended, by id.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.values()
    }

    /// The latest ended containers, oldest first.
    pub fn history(&self) -> impl Iterator<Item = &Record> {
        self.history.iter()
    }

    /// The containers that count as held.
    pub fn live(&self) -> impl Iterator<Item = &Record> {
        self.records.values().filter(|record| record.phase.is_live())
    }

    /// The record of a container, of an ended one as long as it is remembered.
    #[must_use]
    pub fn remembered(&self, executor: &ExecutorId) -> Option<&Record> {
        let ended = || self.history.iter().find(|record| record.executor == *executor);
        self.records.get(executor).or_else(ended)
    }

    /// Why no more executors can be had, once that is so.
    #[must_use]
    pub fn gave_up(&self) -> Option<&str> {
        self.verdict.as_deref()
    }

    /// What was counted since the start.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// What was lost on a node of late.
    #[must_use]
    pub fn history_of(&self, now: Duration, node: &NodeName) -> History {
        self.nodes.history(now, node)
    }

    /// Nodes avoided now, each with the time until which losses there close it; without one it is the driver that wants
    /// no executors there.
    pub fn avoided(&self) -> impl Iterator<Item = (&NodeName, Option<Duration>)> {
        self.nodes.avoided()
    }

    /// The asks of the moment, by resource name.
    pub fn asks(&self) -> impl Iterator<Item = (&str, u32)> {
        self.asks.iter()
    }

    /// Why executors are missing, in a sentence; nothing when none is.
    #[must_use]
    pub fn why_pending(&self, now: Duration) -> Option<String> {
        if let Some(verdict) = &self.verdict {
            return Some(verdict.clone());
        }
        let (asked, deferred) = (self.asks.outstanding(), self.deferred.len());
        if asked > 0 {
            return Some(self.why_not_granted(now, asked));
        }
        let next = self.deferred.iter().min()?;
        let wait = next.saturating_sub(now);
        let deferred = counted(deferred, "replacement");
        Some(format!(
            "{deferred} delayed because of losses on the nodes, the next starts in {wait:.1?}"
        ))
    }

    fn why_not_granted(&self, now: Duration, asked: u32) -> String {
        let since = self.asked_at.front().copied().unwrap_or(now);
        let waited = now.saturating_sub(since).as_secs();
        let mib = self.rules.memory_mib;
        let asked = counted(asked as usize, "container");
        let mut text = format!("asked for {asked} of {mib} MiB, the oldest {waited} s ago");
        match self.headroom_mib {
            Some(headroom) if headroom < mib => {
                text.push_str(&format!("; queue and user have {headroom} MiB left"));
            }
            Some(_) => text.push_str("; the queue has room, no node has yet"),
            None => {}
        }
        let excluded = self.nodes.avoided().count();
        if excluded > 0 {
            text.push_str(&format!("; {} avoided after failures", counted(excluded, "node")));
        }
        text
    }
}

/// A number with its noun.
fn counted(count: usize, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{count} {noun}s")
    }
}
