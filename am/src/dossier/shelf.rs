//! The dossiers of an application.

use std::collections::VecDeque;

use wire::failure::{ExecutorLoss, OOM_WORDS};
use wire::id::ExecutorId;

use super::{Dossier, MAX_DOSSIERS, STDERR_TAIL, advice, exit, last_of};

/// The most that is kept of YARN's words, in bytes.
pub const DIAGNOSTICS: usize = 3000;

#[derive(Debug)]
struct Filed {
    executor: ExecutorId,
    loss: ExecutorLoss,
    dossier: Dossier,
}

/// At most [`MAX_DOSSIERS`] dossiers, the latest last (J).
#[derive(Debug, Default)]
pub struct Shelf {
    filed: VecDeque<Filed>,
}

impl Shelf {
    /// Adds the dossier of an executor that was lost for `loss`; verdict and advice are set here.
    pub fn add(&mut self, executor: ExecutorId, loss: ExecutorLoss, dossier: Dossier) {
        if self.filed.len() == MAX_DOSSIERS {
            self.filed.pop_front();
        }
        let mut filed = Filed {
            executor,
            loss,
            dossier,
        };
        filed.complete();
        self.filed.push_back(filed);
    }

    /// YARN has reported the end.
    pub fn ended(&mut self, executor: &ExecutorId, status: i32, diagnostics: &str) {
        if let Some(filed) = self.find(executor) {
            filed.dossier.exit_status = Some(status);
            if !diagnostics.is_empty() {
                last_of(diagnostics, DIAGNOSTICS).clone_into(&mut filed.dossier.diagnostics);
            }
            filed.complete();
        }
    }

    /// The end of its standard error has been fetched.
    pub fn last_words(&mut self, executor: &ExecutorId, stderr: &str) {
        if let Some(filed) = self.find(executor) {
            last_of(stderr, STDERR_TAIL).clone_into(&mut filed.dossier.stderr_tail);
            filed.complete();
        }
    }

    /// The dossiers, the latest last.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Dossier> {
        self.filed.iter().map(|filed| &filed.dossier)
    }

    /// The latest of a loss that counts.
    #[must_use]
    pub fn latest_counted(&self) -> Option<&Dossier> {
        self.iter().rfind(|dossier| dossier.counts)
    }

    fn find(&mut self, executor: &ExecutorId) -> Option<&mut Filed> {
        self.filed.iter_mut().rfind(|filed| filed.executor == *executor)
    }
}

impl Filed {
    /// Sets what follows from the rest.
    fn complete(&mut self) {
        let dossier = &mut self.dossier;
        if let Some(status) = dossier.exit_status {
            dossier.exit_meaning = exit::meaning(status);
        }
        if self.loss == ExecutorLoss::PhysicalMemory {
            let seen = exit::physical_usage(&dossier.diagnostics).unwrap_or(0);
            dossier.memory.peak = dossier.memory.peak.max(seen);
        }
        if dossier.stderr_tail.is_empty() {
            quoted_stderr(&dossier.diagnostics).clone_into(&mut dossier.stderr_tail);
        }
        dossier.memory.oom_kills = dossier.memory.oom_kills.max(oom_kills(&dossier.stderr_tail));
        advice::judge(dossier, self.loss);
    }
}

/// The number that the executor's guard writes behind its words.
fn oom_kills(stderr: &str) -> u64 {
    let told = stderr.rsplit_once(OOM_WORDS).map(|(_, rest)| rest.trim_start());
    let digits = told.map_or("", |rest| {
        rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or("")
    });
    digits.parse().unwrap_or(0)
}

/// NodeManagers quote the last 4,096 bytes of a failed process's standard error.
fn quoted_stderr(diagnostics: &str) -> &str {
    let quoted = diagnostics.rsplit_once("bytes of stderr :\n");
    quoted.map_or("", |(_, tail)| last_of(tail.trim_end(), STDERR_TAIL))
}

#[cfg(test)]
mod tests {
    use super::super::Blame;
    use super::*;

    fn id(number: usize) -> ExecutorId {
        format!("container_1_0001_01_{number:06}").parse().unwrap()
    }

    fn dossier(number: usize) -> Dossier {
        Dossier {
            executor: id(number).to_string(),
            ..Dossier::default()
        }
    }

    #[test]
    fn what_comes_later_is_added_and_changes_the_advice() {
        let mut shelf = Shelf::default();
        let mut first = dossier(1);
        first.memory.limit = 512 << 20;
        shelf.add(id(1), ExecutorLoss::PhysicalMemory, first);
        let words = "Current usage: 800 MB of 512 MB physical memory used; 1 GB of 2 GB virtual memory used.";
        shelf.ended(&id(1), -104, words);
        shelf.last_words(&id(1), "dying\n");
        let dossier = shelf.iter().next().unwrap();
        assert_eq!(
            dossier.advice,
            "asked 512 MiB, peak 800 MiB: set executors.memory to 1000MiB"
        );
        assert_eq!(dossier.last_words(), Some("dying"));
        assert!(dossier.exit_meaning.contains("physical"));
    }

    #[test]
    fn the_guards_word_of_the_kernel_makes_it_a_matter_of_memory() {
        let mut shelf = Shelf::default();
        shelf.add(id(1), ExecutorLoss::Signalled(9), dossier(1));
        assert_eq!(shelf.iter().next().unwrap().verdict, Blame::Node);
        let words = format!(
            "guard: the executor was ended by signal 9 after 2.0 s; meanwhile {OOM_WORDS} 2 processes"
        );
        shelf.last_words(&id(1), &words);
        let dossier = shelf.iter().next().unwrap();
        assert_eq!((dossier.memory.oom_kills, dossier.verdict), (2, Blame::Resource));
    }

    #[test]
    fn what_yarn_quotes_of_standard_error_is_kept() {
        let mut shelf = Shelf::default();
        shelf.add(id(1), ExecutorLoss::Exited(3), dossier(1));
        shelf.ended(&id(1), 3, "[x]Last 4096 bytes of stderr :\nno such thing\n\n");
        assert_eq!(shelf.iter().next().unwrap().stderr_tail, "no such thing");
    }

    #[test]
    fn only_the_latest_are_kept() {
        let mut shelf = Shelf::default();
        for number in 0..MAX_DOSSIERS + 9 {
            shelf.add(id(number), ExecutorLoss::Unknown, dossier(number));
        }
        assert_eq!(shelf.iter().count(), MAX_DOSSIERS);
        assert_eq!(shelf.iter().next().unwrap().executor, id(9).as_str());
        // News of one that is no longer kept changes nothing.
        shelf.ended(&id(0), 1, "");
    }
}
