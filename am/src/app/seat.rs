//! Where the driver sits: here in cluster mode, in the client in client mode.

use std::time::Duration;

use driver::journal::KnownExecutor;
use wire::id::ExecutorId;
use wire::launcher::{LauncherCommand, LauncherReport};

use crate::driving::{Driving, Errand, Stop};
use crate::history::History;
use crate::journal::JournalCost;
use crate::relay::Relay;
use crate::supervise::Panicked;
use crate::web::DriverView;

/// The driver as the loop deals with it.
#[derive(Debug)]
pub(super) enum Seat {
    /// In this process.
    Here(Box<Driving>),
    /// In the client.
    Client(Box<Relay>),
}

impl Seat {
    /// Tells the driver; what it wants at once goes to `commands`.
    pub(super) fn report(
        &mut self,
        now: Duration,
        report: LauncherReport,
        commands: &mut Vec<LauncherCommand>,
    ) {
        match self {
            Self::Here(driving) => driving.report(now, report, commands),
            Self::Client(relay) => relay.report(now, report),
        }
    }

    /// The executors that a driver remembers of an earlier attempt. A driver in the client never forgot them.
    pub(super) fn known_executors(&self) -> Vec<KnownExecutor> {
        match self {
            Self::Here(driving) => driving.core().survey().executors,
            Self::Client(_) => Vec::new(),
        }
    }

    /// What the driver's journal has cost; none where it keeps none.
    pub(super) fn journal_cost(&self) -> Option<JournalCost> {
        match self {
            Self::Here(driving) => driving.journal_cost(),
            Self::Client(_) => None,
        }
    }

    /// Has a driver that remembers an earlier attempt go on with the executors that are there.
    pub(super) fn resume(
        &mut self,
        now: Duration,
        present: Vec<ExecutorId>,
        patience: Duration,
        commands: &mut Vec<LauncherCommand>,
    ) {
        if let Self::Here(driving) = self {
            driving.resume(now, present, patience, commands);
        }
    }

    /// A node stands in this rack. A driver in the client knows what it saw at submission.
    pub(super) fn learn_rack(
        &mut self,
        now: Duration,
        host: &str,
        rack: &str,
        commands: &mut Vec<LauncherCommand>,
    ) {
        if let Self::Here(driving) = self {
            driving.learn_rack(now, host, rack, commands);
        }
    }

    /// Ends one job on somebody's word.
    ///
    /// # Errors
    /// The driver is not here.
    pub(super) fn kill_job(
        &mut self,
        now: Duration,
        job: u32,
        by: String,
        commands: &mut Vec<LauncherCommand>,
    ) -> Result<(), String> {
        match self {
            Self::Here(driving) => {
                driving.kill_job(now, job, by, commands);
                Ok(())
            }
            Self::Client(_) => Err("in client mode the driver is in the client".to_owned()),
        }
    }

    /// Ends the attempts of one task of a driver that is here.
    pub(super) fn kill_task(
        &mut self,
        now: Duration,
        stage: u32,
        partition: u32,
        commands: &mut Vec<LauncherCommand>,
    ) {
        if let Self::Here(driving) = self {
            driving.kill_task(now, stage, partition, commands);
        }
    }

    /// Time has passed.
    pub(super) fn deadline_reached(&mut self, now: Duration, commands: &mut Vec<LauncherCommand>) {
        if let Self::Here(driving) = self {
            driving.deadline_reached(now, commands);
        }
    }

    /// When something is due.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        match self {
            Self::Here(driving) => driving.next_deadline(),
            Self::Client(relay) => relay.next_deadline(),
        }
    }

    /// The next errand that ends; never in client mode. May be dropped while it waits.
    pub(super) async fn next_errand(&mut self) -> Result<Errand, Panicked> {
        match self {
            Self::Here(driving) => driving.next_errand().await,
            Self::Client(_) => std::future::pending().await,
        }
    }

    /// Takes an errand that has ended.
    ///
    /// # Errors
    /// Why this process must not go on.
    pub(super) fn finish(
        &mut self,
        now: Duration,
        errand: Result<Errand, Panicked>,
        commands: &mut Vec<LauncherCommand>,
    ) -> Result<(), Stop> {
        match self {
            Self::Here(driving) => driving.finish(now, errand, commands),
            Self::Client(_) => Ok(()),
        }
    }

    /// Whether it hears what it is told.
    pub(super) fn is_listening(&self) -> bool {
        match self {
            Self::Here(_) => true,
            Self::Client(relay) => relay.is_connected(),
        }
    }

    /// The driver in the client, in client mode.
    pub(super) fn relay(&mut self) -> Option<&mut Relay> {
        match self {
            Self::Here(_) => None,
            Self::Client(relay) => Some(relay),
        }
    }

    /// Whether what executors say may be taken in.
    pub(super) fn has_room(&self) -> bool {
        match self {
            Self::Here(_) => true,
            Self::Client(relay) => relay.has_room(),
        }
    }

    /// Waits until [`Seat::has_room`].
    pub(super) async fn room(&self) {
        match self {
            Self::Here(_) => {}
            Self::Client(relay) => relay.room().await,
        }
    }

    /// What pages show of it.
    pub(super) fn view(&self) -> DriverView<'_> {
        match self {
            Self::Here(driving) => DriverView::Core(driving.core()),
            Self::Client(relay) => DriverView::Relayed(relay.snapshot()),
        }
    }

    /// The event log of a driver that is here.
    pub(super) fn history(&self) -> Option<&History> {
        match self {
            Self::Here(driving) => driving.history(),
            Self::Client(_) => None,
        }
    }

    /// The event log of a driver that is here.
    pub(super) fn history_mut(&mut self) -> Option<&mut History> {
        match self {
            Self::Here(driving) => driving.history_mut(),
            Self::Client(_) => None,
        }
    }

    /// Finished tasks, and tasks that are known.
    pub(super) fn progress(&self) -> (u64, u64) {
        self.view().progress()
    }
}
