//! What is said to the ApplicationMaster a moment later, together with what follows.
//!
//! A record of its own for the beginning and the end of each short task is work for both sides, several times that of
//! the rest of it. Nobody waits for either while many tasks are here that have not begun: then reports wait for
//! up to [`MOMENT`], and of a task that has ended by then nobody is told that it began. Everything else is said at once,
//! and takes along what waits.
//!
//! Who loses by it: a task that ends its executor within that moment, out of a long queue, is not known to have begun,
//! so the loss counts against the executor only. The driver keeps such a task apart from then on, and ends its job when
//! that goes on (`driver::suspicion`).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use wire::id::TaskAttemptId;
use wire::message::ExecutorMessage;

use crate::session::Event;

/// How long something may wait. A connection over a network takes about a tenth of it.
pub(crate) const MOMENT: Duration = Duration::from_millis(5);

/// What waits.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// When what waits has to be said.
    until: Option<Instant>,
    /// Something has to be said at once, and the rest with it.
    urgent: bool,
    /// Attempts that have begun, with their processes.
    begun: BTreeMap<TaskAttemptId, u32>,
}

impl Pace {
    /// When what waits has to be said, if something does.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.until
    }

    /// An attempt has begun, and that may wait.
    pub(crate) fn begin(&mut self, now: Instant, id: TaskAttemptId, pid: u32) {
        self.begun.insert(id, pid);
        self.until.get_or_insert(now + MOMENT);
    }

    /// Puts the beginnings that may not wait any more before what has happened: `patient` says whether anything may.
    /// A beginning whose end is there is forgotten: that says as much.
    pub(crate) fn sift(&mut self, now: Instant, patient: bool, batch: &mut Vec<Event>) {
        for event in &*batch {
            if let Event::TaskEnded { id, .. } = event {
                self.begun.remove(id);
            }
        }
        if !patient || self.until.is_some_and(|until| now >= until) {
            let begun = std::mem::take(&mut self.begun).into_iter();
            batch.splice(0..0, begun.map(|(id, pid)| Event::TaskStarted { id, pid }));
            self.urgent = true;
        } else if !self.begun.is_empty() {
            self.until.get_or_insert(now + MOMENT);
        }
    }

    /// A message is to be sent.
    pub(crate) fn say(&mut self, now: Instant, message: &ExecutorMessage) {
        match message {
            ExecutorMessage::TaskStarted { .. } | ExecutorMessage::TaskFinished(_) => {
                self.until.get_or_insert(now + MOMENT);
            }
            _ => self.urgent = true,
        }
    }

    /// Whether what is to be sent may go on waiting; else it is sent now.
    pub(crate) fn waits(&mut self, now: Instant) -> bool {
        let waits = !self.urgent && self.until.is_some_and(|until| now < until);
        if !waits {
            self.urgent = false;
            // One that is over by now has somebody look again at once.
            self.until = self.until.filter(|_| !self.begun.is_empty());
        }
        waits
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wire::message::TaskReport;
    use wire::task::TaskMetrics;

    use super::*;
    use crate::session::TaskEnd;
    use crate::task::tests::task;

    fn id(partition: u32) -> TaskAttemptId {
        task(partition, 0).id
    }

    fn started(partition: u32) -> Event {
        Event::TaskStarted {
            id: id(partition),
            pid: partition,
        }
    }

    fn ended(partition: u32) -> Event {
        Event::TaskEnded {
            id: id(partition),
            end: TaskEnd::new(TaskMetrics::default(), Ok(())),
            next: None,
        }
    }

    fn report() -> ExecutorMessage {
        ExecutorMessage::TaskFinished(Box::new(TaskReport {
            sequence: 1,
            id: id(0),
            metrics: TaskMetrics::default(),
            outcome: Ok(()),
            result: None,
            counters: Vec::new(),
        }))
    }

    /// The attempts whose beginning is told, and those whose end is.
    fn told(batch: &[Event]) -> (Vec<u32>, Vec<u32>) {
        let begun = batch.iter().filter_map(|event| match event {
            Event::TaskStarted { pid, .. } => Some(*pid),
            _ => None,
        });
        let over = batch.iter().filter_map(|event| match event {
            Event::TaskEnded { id, .. } => Some(id.partition),
            _ => None,
        });
        (begun.collect(), over.collect())
    }

    #[test]
    fn with_many_tasks_to_do_a_beginning_waits_for_its_end_and_no_longer_than_a_moment() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        (1..=2).for_each(|partition| pace.begin(now, id(partition), partition));
        assert!(pace.waits(now));
        let mut batch = vec![ended(1)];
        pace.sift(now, true, &mut batch);
        assert_eq!(told(&batch), (vec![], vec![1]));
        let later = pace.deadline().unwrap();
        let mut batch = vec![Event::Tick];
        pace.sift(later, true, &mut batch);
        assert_eq!(told(&batch), (vec![2], vec![]));
        pace.say(later, &report());
        assert!(!pace.waits(later) && pace.deadline().is_none());
    }

    #[test]
    fn with_little_to_do_everything_is_said_at_once() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        let mut batch = vec![started(1)];
        pace.sift(now, false, &mut batch);
        assert_eq!(told(&batch), (vec![1], vec![]));
        pace.say(now, &report());
        assert!(!pace.waits(now));
    }

    #[test]
    fn what_somebody_waits_for_takes_reports_along() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        pace.sift(now, true, &mut Vec::new());
        pace.say(now, &report());
        assert!(pace.waits(now));
        pace.say(now, &ExecutorMessage::CommitRequest { id: id(0) });
        assert!(!pace.waits(now) && pace.deadline().is_none());
    }

    proptest! {
        #[test]
        fn every_beginning_is_told_once_in_a_moment_unless_its_end_is_there(
            steps in prop::collection::vec((0u32..6, any::<bool>(), any::<bool>(), 0u64..9, 0u64..9), 1..60)
        ) {
            let (mut pace, mut now) = (Pace::default(), Instant::now());
            let mut untold: BTreeMap<u32, Instant> = BTreeMap::new();
            for (number, begins, patient, passed, spent) in steps {
                now += Duration::from_millis(passed);
                let mut batch = Vec::new();
                if begins && !untold.contains_key(&number) {
                    untold.insert(number, now);
                    pace.begin(now, id(number), number);
                } else if !begins {
                    untold.remove(&number);
                    batch.push(ended(number));
                }
                let due = pace.deadline().is_some_and(|until| now >= until);
                pace.sift(now, patient, &mut batch);
                for number in told(&batch).0 {
                    prop_assert!(untold.remove(&number).is_some(), "told twice, or after its end");
                    pace.say(now, &report());
                }
                prop_assert!(!due || untold.is_empty());
                now += Duration::from_millis(spent);
                if !pace.waits(now) {
                    prop_assert!(pace.deadline().is_none() || !untold.is_empty());
                }
                prop_assert!(untold.is_empty() || pace.deadline().is_some(), "nobody looks again");
                let earliest = untold.values().min().copied();
                prop_assert!(earliest.is_none_or(|at| pace.deadline().is_some_and(|until| until <= at + MOMENT)));
            }
        }
    }
}
