//! Who is to blame for a loss, and what would help.

use wire::failure::ExecutorLoss;

use super::{Blame, Dossier, exit};

/// A limit that is reached to this share, in percent, was probably the cause of a SIGKILL that nobody owns up to.
const NEAR_LIMIT: u64 = 95;
/// What is advised above the peak, in percent of it.
const MARGIN: u64 = 120;
/// Advised sizes are multiples of this, in MiB.
const STEP: u64 = 50;
/// Clocks that are further apart than this are named, in milliseconds.
const SKEW: u64 = 60_000;

/// Sets verdict and advice from the rest of the dossier.
pub fn judge(dossier: &mut Dossier, loss: ExecutorLoss) {
    dossier.verdict = blame(dossier, loss);
    dossier.advice = advice(dossier, loss);
}

/// Whose doing it was.
#[must_use]
pub fn blame(dossier: &Dossier, loss: ExecutorLoss) -> Blame {
    match loss {
        ExecutorLoss::PhysicalMemory | ExecutorLoss::VirtualMemory | ExecutorLoss::ExcessLogs => {
            Blame::Resource
        }
        ExecutorLoss::Signalled(9) if out_of_memory(dossier) => Blame::Resource,
        ExecutorLoss::Signalled(9 | 15)
        | ExecutorLoss::NodeLost
        | ExecutorLoss::DisksFailed
        | ExecutorLoss::Silent => Blame::Node,
        ExecutorLoss::Exited(64 | 69 | 76 | 126 | 127)
        | ExecutorLoss::LocalizationFailed
        | ExecutorLoss::StartFailed
        | ExecutorLoss::NeverRegistered
        | ExecutorLoss::KilledByRm => Blame::Infrastructure,
        ExecutorLoss::Exited(_) | ExecutorLoss::Signalled(_) => Blame::User,
        ExecutorLoss::Preempted
        | ExecutorLoss::Released
        | ExecutorLoss::KilledByUs
        | ExecutorLoss::Decommissioned
        | ExecutorLoss::ApplicationEnded => Blame::Policy,
        ExecutorLoss::Unknown => Blame::Unknown,
    }
}

/// The kernel says so, or memory was all but used up when the signal came.
fn out_of_memory(dossier: &Dossier) -> bool {
    let memory = &dossier.memory;
    memory.oom_kills > 0 || (memory.limit > 0 && memory.peak >= memory.limit / 100 * NEAR_LIMIT)
}

/// What would help; empty when nothing needs to be done.
#[must_use]
pub fn advice(dossier: &Dossier, loss: ExecutorLoss) -> String {
    match loss {
        ExecutorLoss::PhysicalMemory => more_memory(dossier),
        ExecutorLoss::Signalled(9) if out_of_memory(dossier) => more_memory(dossier),
        ExecutorLoss::Signalled(9) => killed_from_outside(dossier),
        ExecutorLoss::VirtualMemory => more_addresses(dossier),
        ExecutorLoss::NeverRegistered => "the node cannot reach the ApplicationMaster, or fetching files takes too \
                                          long there: check the network between them, or raise \
                                          executor.register.timeout"
            .to_owned(),
        ExecutorLoss::StartFailed => start_failed(dossier),
        ExecutorLoss::Silent => "the node is overloaded, frozen or cut off; what ran there runs elsewhere. If tasks \
                                 stop the machine for long, raise executor.heartbeat.dead"
            .to_owned(),
        ExecutorLoss::LocalizationFailed => "a file of the application changed or vanished after it was submitted, \
                                             or the storage cannot be reached from the node: submit again, and leave \
                                             the files alone while it runs"
            .to_owned(),
        ExecutorLoss::DisksFailed => {
            format!("the disks of {} are full or broken: tell who runs the cluster", dossier.node)
        }
        ExecutorLoss::ExcessLogs => "tasks write too much to their logs; write it to an output instead".to_owned(),
        ExecutorLoss::Exited(126 | 127) => "the binary that was staged does not run on this node: its architecture \
                                            or its C library differs"
            .to_owned(),
        ExecutorLoss::Exited(69) => {
            "the node cannot reach the ApplicationMaster: check the network between them".to_owned()
        }
        ExecutorLoss::Preempted => "the queue used more than its share and others wanted theirs; a queue with more \
                                    guaranteed capacity would prevent it"
            .to_owned(),
        _ => String::new(),
    }
}

fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

/// `asked 512 MiB, peak 731 MiB: set executors.memory to 900MiB`.
fn more_memory(dossier: &Dossier) -> String {
    let (limit, peak) = (
        dossier.memory.limit,
        dossier.memory.peak.max(dossier.memory.limit),
    );
    let wanted = (mib(peak) * MARGIN / 100).div_ceil(STEP) * STEP;
    let seen = match dossier.memory.peak {
        0 => String::new(),
        seen => format!(", peak {} MiB", mib(seen)),
    };
    format!(
        "asked {} MiB{seen}: set executors.memory to {wanted}MiB",
        mib(limit)
    )
}

fn killed_from_outside(dossier: &Dossier) -> String {
    let (memory, node) = (&dossier.memory, &dossier.node);
    let seen = match memory.peak {
        0 => String::new(),
        peak => format!("; it had used at most {} of {} MiB", mib(peak), mib(memory.limit)),
    };
    format!(
        "neither YARN nor the ApplicationMaster sent it: a person, or the kernel of {node} for want of memory on the \
         whole machine (its log says){seen}"
    )
}

fn more_addresses(dossier: &Dossier) -> String {
    let used = exit::virtual_usage(&dossier.diagnostics);
    let used = used.map_or(String::new(), |bytes| format!(" {} MiB", mib(bytes)));
    format!(
        "addresses{used} were reserved, not memory used: have yarn.nodemanager.vmem-check-enabled set to false, or \
         raise executors.memory"
    )
}

fn start_failed(dossier: &Dossier) -> String {
    match exit::token_expired_by(&dossier.diagnostics) {
        Some(by) if by >= SKEW => format!(
            "the clock of {} is {} s past the end of a token that was just given: the clocks of ResourceManager and \
             node differ",
            dossier.node,
            by / 1000
        ),
        _ => format!(
            "the NodeManager of {} refused or did not answer; the container is asked for elsewhere",
            dossier.node
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Memory;
    use super::*;

    fn dossier(limit: u64, peak: u64) -> Dossier {
        Dossier {
            node: "n1".into(),
            memory: Memory {
                limit: limit << 20,
                peak: peak << 20,
                ..Memory::default()
            },
            ..Dossier::default()
        }
    }

    #[test]
    fn too_little_memory_is_answered_with_a_number() {
        let dossier = dossier(512, 731);
        let text = advice(&dossier, ExecutorLoss::PhysicalMemory);
        assert_eq!(
            text,
            "asked 512 MiB, peak 731 MiB: set executors.memory to 900MiB"
        );
        assert_eq!(blame(&dossier, ExecutorLoss::PhysicalMemory), Blame::Resource);
    }

    #[test]
    fn an_unseen_peak_still_leads_to_more_than_was_asked() {
        let text = advice(&dossier(512, 0), ExecutorLoss::PhysicalMemory);
        assert_eq!(text, "asked 512 MiB: set executors.memory to 650MiB");
    }

    #[test]
    fn sigkill_is_a_matter_of_memory_only_with_evidence() {
        let kill = ExecutorLoss::Signalled(9);
        assert_eq!(blame(&dossier(512, 100), kill), Blame::Node);
        assert!(advice(&dossier(512, 100), kill).contains("at most 100 of 512 MiB"));
        assert_eq!(blame(&dossier(512, 500), kill), Blame::Resource);
        let mut told = dossier(512, 100);
        told.memory.oom_kills = 1;
        assert_eq!(blame(&told, kill), Blame::Resource);
    }

    #[test]
    fn clocks_that_differ_are_named() {
        let mut dossier = dossier(512, 0);
        dossier.diagnostics =
            "This token is expired. current time is 1700000660000 found 1700000000000".into();
        let text = advice(&dossier, ExecutorLoss::StartFailed);
        assert!(text.contains("clock of n1 is 660 s past"), "{text}");
    }

    #[test]
    fn neutral_losses_are_policy_and_need_nothing() {
        let released = ExecutorLoss::Released;
        assert_eq!(blame(&dossier(1, 0), released), Blame::Policy);
        assert_eq!(advice(&dossier(1, 0), released), "");
    }
}
