//! Where the ApplicationMaster is: at first where the environment says, later where it may have come up again.
//!
//! Owner of: the last address known. The staging directory, where each attempt leaves its address
//! ([`wire::endpoint`]), is asked first, the ResourceManager's report of the application second and rarely, because
//! every orphan of the cluster asks it. Either may say that the application is over. Nothing here is trusted beyond
//! a place to dial: the gateway has to prove itself by certificate and by its epoch (invariant F).

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use tokio::time::timeout;
use wire::endpoint::{self, Endpoint};
use wire::id::Epoch;

use crate::session::Lookup;
use crate::settings::{Settings, whole_chain};
use crate::storage::Storage;

/// How long looking for endpoints may take before the last address is tried instead.
const READING: Duration = Duration::from_secs(3);
/// How long a connection and its handshake may take where an ApplicationMaster may be.
const DIAL_LIMIT: Duration = Duration::from_secs(10);
/// The same where it was not the last time: a lost node answers nothing, and the search must go on.
const REDIAL_LIMIT: Duration = Duration::from_secs(3);
/// Between two questions to the ResourceManager, and from the loss to the first.
const REPORT_INTERVAL: Duration = Duration::from_secs(15);
/// How long the ResourceManager may take to answer.
const REPORTING: Duration = Duration::from_secs(5);

/// What a search gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// An address, and how long connecting may take there.
    At { address: String, limit: Duration },
    /// There is nobody to be found any more.
    Over(String),
}

/// A search under way.
pub(crate) type Search = Pin<Box<dyn Future<Output = Found>>>;

/// Where gateways are.
pub(crate) trait Discovery {
    /// An address to dial.
    fn locate(&mut self, lookup: Lookup) -> Search;
}

/// The discovery of an executor in a container.
pub(crate) struct Finder {
    searcher: Rc<Searcher>,
}

impl Finder {
    /// Begins with the address of the environment. `spread`, any number of this executor, decides when within
    /// [`REPORT_INTERVAL`] it asks the ResourceManager.
    pub(crate) fn new(settings: Arc<Settings>, spread: u64) -> Self {
        let known = Known {
            epoch: settings.epoch,
            address: settings.gateway.clone(),
            tried: false,
            ask_at: None,
        };
        let searcher = Searcher {
            storage: Storage::new(Arc::clone(&settings)),
            known: RefCell::new(known),
            interval: REPORT_INTERVAL + Duration::from_millis(spread % 15_000),
            settings,
        };
        Self {
            searcher: Rc::new(searcher),
        }
    }
}

impl Discovery for Finder {
    fn locate(&mut self, lookup: Lookup) -> Search {
        let searcher = Rc::clone(&self.searcher);
        Box::pin(async move {
            match lookup {
                Lookup::Known => return searcher.known.borrow_mut().found(),
                Lookup::Begin => searcher.known.borrow_mut().begin(),
                Lookup::Continue => {}
            }
            searcher.search().await
        })
    }
}

/// What is known of the ApplicationMaster's place.
#[derive(Debug)]
struct Known {
    epoch: Epoch,
    address: String,
    /// It was given out before.
    tried: bool,
    /// When the ResourceManager is asked next; none when nothing is searched.
    ask_at: Option<Instant>,
}

impl Known {
    fn found(&mut self) -> Found {
        let limit = if self.tried { REDIAL_LIMIT } else { DIAL_LIMIT };
        self.tried = true;
        Found::At {
            address: self.address.clone(),
            limit,
        }
    }

    fn learn(&mut self, epoch: Epoch, address: String) {
        if epoch >= self.epoch && address != self.address {
            tracing::info!(%epoch, address, "the ApplicationMaster may be somewhere else now");
            (self.epoch, self.address, self.tried) = (epoch, address, false);
            self.ask_at = None;
        }
    }

    /// A search begins. The interval of an earlier one has nothing to say: it is long over, for every executor at
    /// once, and all of them would ask the ResourceManager at the first blip.
    fn begin(&mut self) {
        self.ask_at = None;
    }

    /// Whether it is time to ask the ResourceManager.
    fn is_ask_due(&mut self, now: Instant, interval: Duration) -> bool {
        let due = self.ask_at.is_some_and(|at| at <= now);
        if due || self.ask_at.is_none() {
            self.ask_at = Some(now + interval);
        }
        due
    }
}

/// Why no endpoint could be looked for.
enum Unread {
    /// There is no staging directory any more.
    Gone,
    /// The file system does not say.
    Failed(String),
}

struct Searcher {
    settings: Arc<Settings>,
    storage: Storage,
    known: RefCell<Known>,
    interval: Duration,
}

impl Searcher {
    async fn search(&self) -> Found {
        match timeout(READING, self.latest_endpoint()).await {
            Ok(Ok(Some(endpoint))) => {
                let address = endpoint.address();
                self.known.borrow_mut().learn(endpoint.epoch, address);
            }
            Ok(Ok(None)) => {}
            Ok(Err(Unread::Gone)) => return Found::Over("its staging directory is gone".to_owned()),
            Ok(Err(Unread::Failed(error))) => tracing::debug!(error, "no endpoint could be read"),
            Err(_) => tracing::debug!("the endpoints were not read in time"),
        }
        let due = self.known.borrow_mut().is_ask_due(Instant::now(), self.interval);
        if due && let Some(end) = self.ask_resource_manager().await {
            return Found::Over(end);
        }
        self.known.borrow_mut().found()
    }

    /// Where the latest attempt that says so is.
    async fn latest_endpoint(&self) -> Result<Option<Endpoint>, Unread> {
        let staging = self.settings.staging.as_deref();
        let staging = staging.ok_or_else(|| Unread::Failed("no staging directory".to_owned()))?;
        let (system, directory) = self.storage.locate(staging).map_err(Unread::Failed)?;
        let endpoints = directory.join(endpoint::DIRECTORY);
        let names = system.list(&endpoints, false);
        let parsed = names.map_ok(|status| status.path.name().parse::<Endpoint>().ok());
        match parsed.try_collect::<Vec<_>>().await {
            Ok(all) => Ok(all.into_iter().flatten().max_by_key(|endpoint| endpoint.epoch)),
            Err(error) if error.is_not_found() => match system.status(&directory).await {
                Ok(_) => Ok(None),
                Err(error) if error.is_not_found() => Err(Unread::Gone),
                Err(error) => Err(Unread::Failed(error.to_string())),
            },
            Err(error) => Err(Unread::Failed(error.to_string())),
        }
    }

    /// How the application ended, if it did; takes the address of its present attempt along.
    async fn ask_resource_manager(&self) -> Option<String> {
        let report = match timeout(REPORTING, self.report()).await {
            Ok(Ok(report)) => report,
            Ok(Err(error)) => {
                tracing::debug!(error, "the ResourceManager does not tell of the application");
                return None;
            }
            Err(_) => return None,
        };
        if report.state.is_final() {
            return Some(format!(
                "the ResourceManager says that it has ended as {:?}",
                report.state
            ));
        }
        let address = report.am_rpc_address.filter(|address| is_dialable(address))?;
        let epoch = self.known.borrow().epoch;
        self.known.borrow_mut().learn(epoch, address);
        None
    }

    async fn report(&self) -> Result<yarn_rest::model::AppReport, String> {
        let conf = self.settings.hadoop_configuration()?;
        let managers = conf.resource_managers().map_err(|error| whole_chain(&error))?;
        let builder = yarn_rest::Client::builder(yarn_rest::Auth::simple(self.settings.user())).rounds(1);
        let addresses = managers.web.iter().map(ToString::to_string);
        let client = addresses
            .fold(builder, |builder, address| builder.resource_manager(address))
            .build()
            .map_err(|error| whole_chain(&error))?;
        let application = self.settings.application.parse();
        let application = application.map_err(|error| whole_chain(&error))?;
        client
            .application(application)
            .await
            .map_err(|error| whole_chain(&error))
    }
}

/// `HOST:PORT` with a port; an attempt that has not registered yet is at `N/A:-1`.
fn is_dialable(address: &str) -> bool {
    address
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::settings::Environment;

    fn finder(staging: &Path) -> Finder {
        let variables = [
            ("DRAWLOOM_GATEWAY", "old:1"),
            ("DRAWLOOM_APP_ID", "application_1_0001"),
            ("DRAWLOOM_EPOCH", "1"),
            ("DRAWLOOM_SLOTS", "1"),
            ("DRAWLOOM_MEMORY_MIB", "1"),
            ("CONTAINER_ID", "container_1_0001_01_000002"),
            ("NM_HOST", "node7"),
            ("HADOOP_TOKEN_FILE_LOCATION", "/w/t"),
        ];
        let mut environment: Environment = variables.map(|(name, value)| (name.into(), value.into())).into();
        let uri = format!("file://{}", staging.display());
        environment.insert("DRAWLOOM_STAGING".into(), uri.into());
        let settings = Settings::read(environment, Path::new("/nowhere")).unwrap();
        Finder::new(Arc::new(settings), 7)
    }

    fn leave(staging: &Path, name: &str) {
        std::fs::create_dir_all(staging.join(endpoint::DIRECTORY).join(name)).unwrap();
    }

    fn at(address: &str, limit: Duration) -> Found {
        let address = address.to_owned();
        Found::At { address, limit }
    }

    #[tokio::test]
    async fn the_first_dial_goes_where_the_environment_says() {
        let staging = tempfile::tempdir().unwrap();
        leave(staging.path(), "2-2-new");
        let mut finder = finder(staging.path());
        assert_eq!(finder.locate(Lookup::Known).await, at("old:1", DIAL_LIMIT));
    }

    #[tokio::test]
    async fn a_search_finds_the_endpoint_of_the_latest_attempt() {
        let staging = tempfile::tempdir().unwrap();
        let mut finder = finder(staging.path());
        assert_eq!(finder.locate(Lookup::Known).await, at("old:1", DIAL_LIMIT));
        assert_eq!(finder.locate(Lookup::Continue).await, at("old:1", REDIAL_LIMIT));
        leave(staging.path(), "2-2-new");
        assert_eq!(finder.locate(Lookup::Continue).await, at("new:2", DIAL_LIMIT));
        assert_eq!(finder.locate(Lookup::Continue).await, at("new:2", REDIAL_LIMIT));
        // A late attempt hides nobody, and what is no endpoint is nothing to us.
        leave(staging.path(), "1-1-old");
        leave(staging.path(), "README");
        assert_eq!(finder.locate(Lookup::Continue).await, at("new:2", REDIAL_LIMIT));
    }

    #[tokio::test]
    async fn what_cannot_be_read_leaves_the_last_address() {
        let staging = tempfile::tempdir().unwrap();
        std::fs::write(staging.path().join(endpoint::DIRECTORY), "no directory").unwrap();
        let mut finder = finder(staging.path());
        assert_eq!(finder.locate(Lookup::Continue).await, at("old:1", DIAL_LIMIT));
    }

    #[tokio::test]
    async fn an_application_without_a_staging_directory_is_over() {
        let staging = tempfile::tempdir().unwrap();
        let mut finder = finder(&staging.path().join("gone"));
        assert!(matches!(finder.locate(Lookup::Begin).await, Found::Over(_)));
    }

    #[test]
    fn the_resource_manager_is_asked_rarely_and_not_at_once() {
        let mut known = Known {
            epoch: Epoch(1),
            address: "old:1".to_owned(),
            tried: false,
            ask_at: None,
        };
        let (start, interval) = (Instant::now(), Duration::from_secs(15));
        assert!(!known.is_ask_due(start, interval));
        assert!(!known.is_ask_due(start + interval / 2, interval));
        assert!(known.is_ask_due(start + interval, interval));
        assert!(!known.is_ask_due(start + interval, interval));
        known.learn(Epoch(2), "new:2".to_owned());
        assert!(!known.is_ask_due(start + interval * 9, interval));
    }

    #[tokio::test]
    async fn what_an_earlier_search_had_to_wait_for_is_not_due_in_the_next() {
        let staging = tempfile::tempdir().unwrap();
        let mut finder = finder(staging.path());
        let ask_at = |finder: &Finder| finder.searcher.known.borrow().ask_at.unwrap();
        finder.locate(Lookup::Begin).await;
        let first = ask_at(&finder);
        finder.locate(Lookup::Continue).await;
        assert_eq!(ask_at(&finder), first);
        let passed = Instant::now();
        finder.searcher.known.borrow_mut().ask_at = Some(passed);
        finder.locate(Lookup::Begin).await;
        assert!(ask_at(&finder) >= passed + REPORT_INTERVAL);
        // Had it been due, the ResourceManager would have been asked, which the environment does not name.
        assert_eq!(finder.locate(Lookup::Continue).await, at("old:1", REDIAL_LIMIT));
    }

    #[test]
    fn only_an_address_with_a_port_can_be_dialed() {
        assert!(is_dialable("node7:4711"));
        assert!(!is_dialable("N/A:-1") && !is_dialable(":7") && !is_dialable("node7") && !is_dialable("a:0"));
    }
}
