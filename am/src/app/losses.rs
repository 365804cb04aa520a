//! Lost executors: what is told to whom, and what is kept of them.

use std::collections::VecDeque;
use std::time::Duration;

use hadoop::ids::ContainerId;
use launcher::record::{Record, Times};
use wire::failure::ExecutorLoss;
use wire::id::{ExecutorId, TaskAttemptId};
use wire::launcher::LauncherReport;
use wire::message::GatewayMessage;

use super::{App, Done, Step};
use crate::dossier::{Dossier, MAX_TASKS, Memory, NodeHistory, Phases};

impl App {
    /// The launcher has lost an executor, or given it up.
    pub(super) fn executor_gone(
        &mut self,
        executor: ExecutorId,
        loss: ExecutorLoss,
        detail: String,
        steps: &mut VecDeque<Step>,
    ) {
        if self.verdict().is_none() && loss != ExecutorLoss::Released {
            self.record_loss(&executor, loss, &detail);
        }
        self.metrics.executor_exited(loss);
        let (reason, grace) = (loss.to_string(), Duration::ZERO);
        self.links
            .send(&executor, GatewayMessage::Shutdown { reason, grace });
        self.links.forget(&executor);
        self.vitals.forget(&executor);
        steps.push_back(Step::Driver(LauncherReport::ExecutorGone {
            executor,
            loss,
            detail,
        }));
    }

    fn record_loss(&mut self, executor: &ExecutorId, loss: ExecutorLoss, detail: &str) {
        let host = self.node_of(executor);
        let cause = if detail.is_empty() {
            loss.to_string()
        } else {
            format!("{loss}: {detail}")
        };
        tracing::warn!(%executor, host, cause, "executor lost");
        let dossier = self.dossier(executor, loss, cause.clone());
        self.note("executor", executor.to_string(), host, cause);
        self.shelf.add(executor.clone(), loss, dossier);
        self.fetch_last_words(executor);
    }

    /// What is known now; YARN's status and the last words may come later.
    fn dossier(&self, executor: &ExecutorId, loss: ExecutorLoss, cause: String) -> Dossier {
        let now = self.clock.now();
        let attempts = self
            .vitals
            .of(executor)
            .map(|vital| vital.tasks.clone())
            .unwrap_or_default();
        let base = Dossier {
            executor: executor.to_string(),
            unix_ms: self.clock.unix_ms(now),
            cause,
            counts: loss.counts_for_budget(),
            memory: self.memory_of(executor),
            tasks: attempts
                .iter()
                .take(MAX_TASKS)
                .map(|id| self.task_name(*id))
                .collect(),
            tasks_total: u32::try_from(attempts.len()).unwrap_or(u32::MAX),
            ..Dossier::default()
        };
        match self.launcher.remembered(executor) {
            Some(record) => self.with_record(base, record, now),
            None => base,
        }
    }

    fn with_record(&self, base: Dossier, record: &Record, now: Duration) -> Dossier {
        let history = self.launcher.history_of(now, &record.node);
        let narrow = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Dossier {
            node: record.node.to_string(),
            phases: self.phases(&record.executor, &record.times),
            exit_status: record.exit_status,
            diagnostics: record.diagnostics.clone(),
            node_history: NodeHistory {
                losses: narrow(history.losses),
                strikes: narrow(history.strikes),
                avoided_for_ms: history.avoided_until.map(|until| ms(until.saturating_sub(now))),
            },
            ..base
        }
    }

    fn phases(&self, executor: &ExecutorId, times: &Times) -> Phases {
        let vital = self.vitals.of(executor);
        Phases {
            asked_ms: ms(times.asked),
            granted_ms: ms(times.granted),
            started_ms: times.started.map(ms),
            process_ms: vital.and_then(|vital| vital.process_began).map(ms),
            registered_ms: times.registered.map(ms),
            first_task_ms: vital.and_then(|vital| vital.first_task).map(ms),
            ended_ms: times.ended.map(ms),
        }
    }

    fn memory_of(&self, executor: &ExecutorId) -> Memory {
        let asked = self.plan.executors.memory_mib << 20;
        let Some(vital) = self.vitals.of(executor) else {
            return Memory {
                limit: asked,
                ..Memory::default()
            };
        };
        Memory {
            limit: vital.memory.max(asked),
            peak: vital.peak,
            executor_peak: vital.own_peak,
            oom_kills: 0,
        }
    }

    /// A task attempt in words.
    pub(super) fn task_name(&self, id: TaskAttemptId) -> String {
        let stage = self.stage_name(id.stage.stage);
        format!("stage {stage}, task {}, attempt {}", id.partition, id.attempt)
    }

    /// Reads the end of its standard error while its NodeManager still has it.
    fn fetch_last_words(&mut self, executor: &ExecutorId) {
        let record = self.launcher.remembered(executor);
        let node_http = record.map(|record| record.node_http.clone()).unwrap_or_default();
        let began = record.is_some_and(|record| record.times.started.is_some());
        let Ok(container) = executor.as_str().parse::<ContainerId>() else {
            return;
        };
        if !began || node_http.is_empty() {
            return;
        }
        let (reader, executor) = (self.last_words.clone(), executor.clone());
        self.work.spawn("reading last words", async move {
            let stderr = reader.of(container, node_http).await;
            Done::LastWords { executor, stderr }
        });
    }

    pub(super) fn on_last_words(&mut self, executor: &ExecutorId, stderr: &str) {
        if !stderr.is_empty() {
            self.shelf.last_words(executor, stderr);
        }
    }

    /// Why executors cannot be had, with what would help.
    pub(super) fn with_advice(&self, reason: String) -> String {
        let advice = self.shelf.latest_counted().map(|dossier| dossier.advice.as_str());
        match advice.filter(|advice| !advice.is_empty()) {
            Some(advice) => format!("{reason}; {advice}"),
            None => reason,
        }
    }

    /// What the final diagnostics say, besides `cause`, of executors that were lost: the latest that count. What has
    /// been said once is not said again.
    pub(super) fn loss_lines(&self, cause: &str) -> String {
        const MOST: usize = 3;
        let mut text = String::new();
        for dossier in self
            .shelf
            .iter()
            .rev()
            .filter(|dossier| dossier.counts)
            .take(MOST)
        {
            text.push_str(&format!(
                "\nlost {} on {}: {}",
                dossier.executor, dossier.node, dossier.cause
            ));
            let words = dossier
                .last_words()
                .map(|words| format!("last words: {}", shortened(words)));
            let advice = Some(dossier.advice.clone()).filter(|advice| !advice.is_empty());
            for line in words.into_iter().chain(advice) {
                if !cause.contains(&line) && !text.contains(&line) {
                    text.push_str(&format!("\n  {line}"));
                }
            }
        }
        text
    }
}

fn ms(at: Duration) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(u64::MAX)
}

/// A line of a log is not always one that fits.
fn shortened(words: &str) -> String {
    const MOST: usize = 300;
    words.chars().take(MOST).collect()
}
