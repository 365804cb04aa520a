//! The task that writes the log, and the handle of those who have something to say.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use dfs::{CreateOptions, DfsError, DfsPath, FileSystem, FileSystems, FileWriter, Overwrite};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use super::teller::Lines;
use super::{IN_PROGRESS, PERMISSION, earlier};
use crate::supervise::TaskGroup;

/// Bytes that may wait to be written; with more the log is given up.
pub const MOST_WAITING: usize = 16 << 20;
/// How long lines are gathered before they are flushed.
const GROUP: Duration = Duration::from_secs(1);
/// Bytes that are handed to the file system at a time.
const CHUNK: usize = 256 << 10;

/// How a log is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// It is written, as far as this many bytes.
    Open(u64),
    /// It has its final name.
    Complete,
    /// The client writes it, in which the driver is.
    Elsewhere,
    /// It ends before the application did, for this reason.
    GivenUp(String),
}

enum Order {
    Lines(Vec<u8>),
    /// Made when their turn has come, because they are many.
    Many(Lines),
    End {
        done: oneshot::Sender<()>,
    },
}

/// The log as those see it who have something to say.
#[derive(Debug)]
pub(super) struct Writing {
    orders: Option<mpsc::UnboundedSender<Order>>,
    waiting: Arc<AtomicUsize>,
    status: watch::Receiver<Status>,
    systems: Arc<FileSystems>,
    directory: String,
    /// Told when the logs of earlier attempts have been looked after.
    earlier: Option<oneshot::Receiver<()>>,
    /// The tasks end with this handle.
    tasks: TaskGroup<()>,
}

impl Writing {
    /// Begins the log `name` in `directory`. The file system is first asked when the task runs.
    pub(super) fn start(systems: Arc<FileSystems>, directory: String, name: String) -> Self {
        let (orders, incoming) = mpsc::unbounded_channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let (says, status) = watch::channel(Status::Open(0));
        let mut tasks = TaskGroup::new();
        let writer = Writer {
            systems: Arc::clone(&systems),
            directory: directory.clone(),
            name,
            waiting: Arc::clone(&waiting),
            says,
        };
        tasks.spawn("history", writer.run(incoming));
        Self {
            orders: Some(orders),
            waiting,
            status,
            systems,
            directory,
            earlier: None,
            tasks,
        }
    }

    /// Hands lines over. When too many wait already the log ends with those.
    pub(super) fn append(&mut self, lines: Vec<u8>) {
        let size = lines.len();
        if size > 0 && self.waiting.fetch_add(size, Ordering::Relaxed) <= MOST_WAITING {
            self.order(Order::Lines(lines));
        } else if size > 0 {
            self.orders = None;
        }
    }

    pub(super) fn append_many(&mut self, lines: Lines) {
        self.order(Order::Many(lines));
    }

    /// Has the logs ended that the attempts before this one have left. That may take minutes, so it is no business of
    /// the task that writes.
    pub(super) fn end_earlier(&mut self, application: &str, attempt: u32) {
        let (systems, directory) = (Arc::clone(&self.systems), self.directory.clone());
        let application = application.to_owned();
        let (done, ended) = oneshot::channel();
        self.earlier = Some(ended);
        self.tasks.spawn("event logs of lost attempts", async move {
            earlier::end_all(&systems, &directory, &application, attempt).await;
            // Whoever waited may have lost patience.
            let _ = done.send(());
        });
    }

    /// Ends the log with these lines; what is given is over when it and the logs of earlier attempts have their final
    /// names, or will never have them.
    pub(super) fn end(&mut self, lines: Vec<u8>) -> impl Future<Output = ()> + Send + use<> {
        self.append(lines);
        let (done, ended) = oneshot::channel();
        self.order(Order::End { done });
        self.orders = None;
        let earlier = self.earlier.take();
        async move {
            // A task that has given up has said why.
            let _ = ended.await;
            if let Some(earlier) = earlier {
                let _ = earlier.await;
            }
        }
    }

    fn order(&mut self, order: Order) {
        if self
            .orders
            .as_ref()
            .is_some_and(|orders| orders.send(order).is_err())
        {
            self.orders = None;
        }
    }

    /// Whether nothing more is taken.
    pub(super) fn is_over(&self) -> bool {
        self.orders.is_none()
    }

    pub(super) fn status(&self) -> Status {
        self.status.borrow().clone()
    }
}

/// The writing side.
struct Writer {
    systems: Arc<FileSystems>,
    directory: String,
    name: String,
    waiting: Arc<AtomicUsize>,
    says: watch::Sender<Status>,
}

/// Why the log ends before the application.
enum Trouble {
    FileSystem(DfsError),
    Overrun,
}

impl From<DfsError> for Trouble {
    fn from(error: DfsError) -> Self {
        Self::FileSystem(error)
    }
}

impl Writer {
    async fn run(self, orders: mpsc::UnboundedReceiver<Order>) {
        match self.write(orders).await {
            Ok(()) => self.say(Status::Complete),
            Err(trouble) => self.give_up(&trouble),
        }
    }

    fn say(&self, status: Status) {
        self.says.send_replace(status);
    }

    fn give_up(&self, trouble: &Trouble) {
        let (why, help) = self.explained(trouble);
        let directory = &self.directory;
        tracing::warn!(
            directory,
            why,
            help,
            "the event log is given up; the job goes on without"
        );
        self.say(Status::GivenUp(format!("{why}; {help}")));
    }

    fn explained(&self, trouble: &Trouble) -> (String, &'static str) {
        let error = match trouble {
            Trouble::FileSystem(error) => error,
            Trouble::Overrun => {
                let why = format!("the file system took too long: {MOST_WAITING} bytes were waiting");
                return (why, "look at the file system of history.dir");
            }
        };
        let help = match error {
            DfsError::NotFound { .. } => {
                "make the directory of history.dir, with mode 1777 and the History Server's group"
            }
            DfsError::PermissionDenied { .. } => {
                "let the submitting user write to history.dir: mode 1777 is usual"
            }
            DfsError::NoSpace { .. } => "free space, or raise the quota of history.dir",
            _ => "look at history.dir and its file system",
        };
        (error.to_string(), help)
    }

    async fn write(&self, mut orders: mpsc::UnboundedReceiver<Order>) -> Result<(), Trouble> {
        let directory = self.systems.resolve(&self.directory)?;
        let fs = self.systems.get(&directory)?;
        let path = directory.join(&format!("{}{IN_PROGRESS}", self.name));
        let mut file = create(fs.as_ref(), &path).await?;
        while let Some(batch) = self.gather(&mut orders).await {
            let mut end = None;
            for order in batch {
                match order {
                    Order::Lines(lines) => self.put(&mut file, lines).await?,
                    Order::Many(lines) => put_many(&mut file, lines).await?,
                    Order::End { done } => end = Some(done),
                }
            }
            if let Some(done) = end {
                file.close().await?;
                let last = directory.join(&self.name);
                fs.rename(&path, &last, Overwrite::Yes).await?;
                // Whoever waited may have lost patience.
                let _ = done.send(());
                return Ok(());
            }
            file.sync().await?;
            self.say(Status::Open(file.written()));
        }
        Err(Trouble::Overrun)
    }

    /// What comes within a moment; at once what is the last.
    async fn gather(&self, orders: &mut mpsc::UnboundedReceiver<Order>) -> Option<VecDeque<Order>> {
        let mut batch = VecDeque::from([orders.recv().await?]);
        let more = async {
            while !matches!(batch.back(), Some(Order::End { .. })) {
                match orders.recv().await {
                    Some(order) => batch.push_back(order),
                    None => return,
                }
            }
        };
        // What has come until then stays in the batch.
        let _ = timeout(GROUP, more).await;
        Some(batch)
    }

    async fn put(&self, file: &mut Box<dyn FileWriter>, lines: Vec<u8>) -> Result<(), DfsError> {
        let size = lines.len();
        write_all(file, lines.into()).await?;
        self.waiting.fetch_sub(size, Ordering::Relaxed);
        Ok(())
    }
}

/// A log of the same attempt is of a process that has not come far.
async fn create(fs: &dyn FileSystem, path: &DfsPath) -> Result<Box<dyn FileWriter>, DfsError> {
    let options = CreateOptions {
        permission: PERMISSION,
        overwrite: Overwrite::Yes,
        create_parents: false,
        ..CreateOptions::default()
    };
    fs.create(path, &options).await
}

async fn put_many(file: &mut Box<dyn FileWriter>, lines: Lines) -> Result<(), DfsError> {
    for piece in lines {
        write_all(file, piece.into()).await?;
        // Making lines is work of the thread that everything else runs on.
        tokio::task::yield_now().await;
    }
    Ok(())
}

async fn write_all(file: &mut Box<dyn FileWriter>, mut bytes: Bytes) -> Result<(), DfsError> {
    while !bytes.is_empty() {
        let next = bytes.split_to(bytes.len().min(CHUNK));
        file.write(next).await?;
    }
    Ok(())
}
