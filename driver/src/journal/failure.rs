//! Failures and losses as bytes. A number once given keeps its meaning; one that is not known reads as the variant
//! that says so.

use wire::failure::{ExecutorLoss, FailureCause, KillReason, TaskFailure};
use wire::task::TaskMetrics;

use super::codec::{Damaged, Reader, Writer};

pub(super) fn write_outcome(outcome: &Result<(), TaskFailure>, into: &mut Writer) {
    match outcome {
        Ok(()) => {
            into.number(0u8);
        }
        Err(failure) => {
            into.number(1u8);
            write_failure(failure, into);
        }
    }
}

pub(super) fn read_outcome(from: &mut Reader<'_>) -> Result<Result<(), TaskFailure>, Damaged> {
    match from.number()? {
        0 => Ok(Ok(())),
        _ => read_failure(from).map(Err),
    }
}

pub(super) fn write_failure(failure: &TaskFailure, into: &mut Writer) {
    write_cause(&failure.cause, into);
    into.text(&failure.stderr_tail);
}

pub(super) fn read_failure(from: &mut Reader<'_>) -> Result<TaskFailure, Damaged> {
    let cause = read_cause(from)?;
    let stderr_tail = from.owned()?;
    Ok(TaskFailure { cause, stderr_tail })
}

fn write_cause(cause: &FailureCause, into: &mut Writer) {
    match cause {
        FailureCause::Unclassified(message) => into.number(0u8).text(message),
        FailureCause::ExitCode(code) => into.number(1u8).signed(i64::from(*code)),
        FailureCause::Signal { signal, core_dumped } => into
            .number(2u8)
            .signed(i64::from(*signal))
            .number(u8::from(*core_dumped)),
        FailureCause::Timeout(limit) => into.number(3u8).time(*limit),
        FailureCause::MemoryLimit { limit, peak } => into.number(4u8).number(*limit).number(*peak),
        FailureCause::StartFailed(message) => into.number(5u8).text(message),
        FailureCause::InputFailed { uri, message } => into.number(6u8).text(uri).text(message),
        FailureCause::OutputFailed { path, message } => into.number(7u8).text(path).text(message),
        FailureCause::Killed(reason) => into.number(8u8).number(reason_number(*reason)),
        FailureCause::CommitDenied => into.number(9u8),
        FailureCause::ExecutorLost { loss, started } => {
            into.number(10u8).number(u8::from(*started));
            write_loss(*loss, into);
            into
        }
        FailureCause::ContainerMemory { limit, used, own } => {
            into.number(11u8).number(*limit).number(*used).number(*own)
        }
        FailureCause::OutOfMemory { peak } => into.number(12u8).number(*peak),
        FailureCause::Panicked(message) => into.number(13u8).text(message),
        FailureCause::FunctionFailed(message) => into.number(14u8).text(message),
    };
}

fn read_cause(from: &mut Reader<'_>) -> Result<FailureCause, Damaged> {
    Ok(match from.number()? {
        0 => FailureCause::Unclassified(from.owned()?),
        1 => FailureCause::ExitCode(code(from)?),
        2 => FailureCause::Signal {
            signal: code(from)?,
            core_dumped: from.number()? == 1,
        },
        3 => FailureCause::Timeout(from.time()?),
        4 => FailureCause::MemoryLimit {
            limit: from.number()?,
            peak: from.number()?,
        },
        5 => FailureCause::StartFailed(from.owned()?),
        6 => FailureCause::InputFailed {
            uri: from.owned()?,
            message: from.owned()?,
        },
        7 => FailureCause::OutputFailed {
            path: from.owned()?,
            message: from.owned()?,
        },
        8 => FailureCause::Killed(read_reason(from)?),
        9 => FailureCause::CommitDenied,
        10 => {
            let started = from.number()? == 1;
            let loss = read_loss(from)?;
            FailureCause::ExecutorLost { loss, started }
        }
        11 => FailureCause::ContainerMemory {
            limit: from.number()?,
            used: from.number()?,
            own: from.number()?,
        },
        12 => FailureCause::OutOfMemory { peak: from.number()? },
        13 => FailureCause::Panicked(from.owned()?),
        14 => FailureCause::FunctionFailed(from.owned()?),
        other => return Err(Damaged::new(format!("a failure of an unknown kind {other}"))),
    })
}

fn code(from: &mut Reader<'_>) -> Result<i32, Damaged> {
    i32::try_from(from.signed()?).map_err(|_| Damaged::new("a code that is too large"))
}

const REASONS: [KillReason; 5] = [
    KillReason::OtherAttemptWon,
    KillReason::StageEnded,
    KillReason::JobEnded,
    KillReason::ByUser,
    KillReason::ExecutorStopping,
];

/// From 1 on, so that 0 is free for none.
pub(super) fn reason_number(reason: KillReason) -> u8 {
    match reason {
        KillReason::OtherAttemptWon => 1,
        KillReason::StageEnded => 2,
        KillReason::JobEnded => 3,
        KillReason::ByUser => 4,
        KillReason::ExecutorStopping => 5,
    }
}

pub(super) fn read_maybe_reason(from: &mut Reader<'_>) -> Result<Option<KillReason>, Damaged> {
    let number = from.number()?;
    if number == 0 {
        return Ok(None);
    }
    let known = REASONS
        .into_iter()
        .find(|&reason| u64::from(reason_number(reason)) == number);
    known
        .map(Some)
        .ok_or_else(|| Damaged::new("an unknown reason to end a task"))
}

fn read_reason(from: &mut Reader<'_>) -> Result<KillReason, Damaged> {
    read_maybe_reason(from)?.ok_or_else(|| Damaged::new("no reason to end a task"))
}

/// The losses without a number of their own, by theirs here.
const LOSSES: [(u8, ExecutorLoss); 16] = [
    (0, ExecutorLoss::Unknown),
    (3, ExecutorLoss::Preempted),
    (4, ExecutorLoss::Released),
    (5, ExecutorLoss::NodeLost),
    (6, ExecutorLoss::DisksFailed),
    (7, ExecutorLoss::KilledByRm),
    (8, ExecutorLoss::KilledByUs),
    (9, ExecutorLoss::Decommissioned),
    (10, ExecutorLoss::ApplicationEnded),
    (11, ExecutorLoss::PhysicalMemory),
    (12, ExecutorLoss::VirtualMemory),
    (13, ExecutorLoss::LocalizationFailed),
    (14, ExecutorLoss::StartFailed),
    (15, ExecutorLoss::NeverRegistered),
    (16, ExecutorLoss::Silent),
    (17, ExecutorLoss::ExcessLogs),
];

pub(super) fn write_loss(loss: ExecutorLoss, into: &mut Writer) {
    match loss {
        ExecutorLoss::Exited(code) => into.number(1u8).signed(i64::from(code)),
        ExecutorLoss::Signalled(signal) => into.number(2u8).signed(i64::from(signal)),
        other => {
            let known = LOSSES.iter().find(|(_, loss)| *loss == other);
            into.number(known.map_or(0, |(number, _)| *number))
        }
    };
}

pub(super) fn read_loss(from: &mut Reader<'_>) -> Result<ExecutorLoss, Damaged> {
    Ok(match from.number()? {
        1 => ExecutorLoss::Exited(code(from)?),
        2 => ExecutorLoss::Signalled(code(from)?),
        number => {
            let known = LOSSES.iter().find(|(known, _)| u64::from(*known) == number);
            known.map_or(ExecutorLoss::Unknown, |(_, loss)| *loss)
        }
    })
}

pub(super) fn write_metrics(metrics: &TaskMetrics, into: &mut Writer) {
    into.time(metrics.wall)
        .time(metrics.cpu_user)
        .time(metrics.cpu_system)
        .number(metrics.peak_resident)
        .number(metrics.input_bytes)
        .number(metrics.output_bytes)
        .number(metrics.stderr_bytes);
}

pub(super) fn read_metrics(from: &mut Reader<'_>) -> Result<TaskMetrics, Damaged> {
    Ok(TaskMetrics {
        wall: from.time()?,
        cpu_user: from.time()?,
        cpu_system: from.time()?,
        peak_resident: from.number()?,
        input_bytes: from.number()?,
        output_bytes: from.number()?,
        stderr_bytes: from.number()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn back(failure: &TaskFailure) -> TaskFailure {
        let mut writer = Writer::default();
        write_failure(failure, &mut writer);
        read_failure(&mut Reader::new(&writer.bytes)).unwrap()
    }

    fn losses() -> Vec<ExecutorLoss> {
        let mut all = vec![ExecutorLoss::Exited(-3), ExecutorLoss::Signalled(9)];
        all.extend(LOSSES.iter().map(|(_, loss)| *loss));
        all
    }

    #[test]
    fn every_failure_survives() {
        let text = || "words".to_owned();
        let mut causes = vec![
            FailureCause::Unclassified(text()),
            FailureCause::ExitCode(-7),
            FailureCause::Signal {
                signal: 11,
                core_dumped: true,
            },
            FailureCause::Timeout(Duration::from_millis(1500)),
            FailureCause::MemoryLimit { limit: 7, peak: 9 },
            FailureCause::StartFailed(text()),
            FailureCause::InputFailed {
                uri: text(),
                message: text(),
            },
            FailureCause::OutputFailed {
                path: text(),
                message: text(),
            },
            FailureCause::CommitDenied,
            FailureCause::ContainerMemory {
                limit: 1,
                used: 2,
                own: 3,
            },
            FailureCause::OutOfMemory { peak: 4 },
            FailureCause::Panicked(text()),
            FailureCause::FunctionFailed(text()),
        ];
        causes.extend(REASONS.map(FailureCause::Killed));
        causes.extend(
            losses()
                .into_iter()
                .map(|loss| FailureCause::ExecutorLost { loss, started: true }),
        );
        for cause in causes {
            let mut failure = TaskFailure::new(cause);
            failure.stderr_tail = "last words".to_owned();
            assert_eq!(back(&failure), failure);
        }
    }

    #[test]
    fn every_loss_that_wire_knows_has_a_number() {
        for loss in losses() {
            let mut writer = Writer::default();
            write_loss(loss, &mut writer);
            assert_eq!(read_loss(&mut Reader::new(&writer.bytes)), Ok(loss));
            assert!(loss == ExecutorLoss::Unknown || writer.bytes[0] != 0, "{loss}");
        }
    }
}
