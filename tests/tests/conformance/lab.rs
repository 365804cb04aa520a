//! A cluster as the cases see it: its REST API, its scheduler's port, and a folder that containers can write to.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hadoop::conf::Configuration;
use hadoop::credentials::{Credentials, Token};
use hadoop::ids::{ApplicationAttemptId, ApplicationId, ContainerId};
use harness::http::{self, Response};
use serde_json::{Value, json};
use yarn_rpc::client::{ClientIdentity, RpcClient, RpcConfig};
use yarn_rpc::connection::Protocol;
use yarn_rpc::records::{Container, ContainerLaunchContext};

use super::master::{Master, shell};

/// What each of the two nodes offers.
pub(crate) const NODE_MEMORY_MB: u32 = 4096;
/// Cores each node says it has.
pub(crate) const NODE_CORES: u32 = 8;
/// Silence after which an ApplicationMaster is given up.
pub(crate) const MASTER_EXPIRY: Duration = Duration::from_secs(15);
/// The longest that anything may take to happen.
const PATIENCE: Duration = Duration::from_secs(90);
/// Between two looks at something that has not happened yet.
pub(crate) const PAUSE: Duration = Duration::from_millis(20);
const REST: &str = "/ws/v1/cluster";

/// A cluster, as one case has it: its applications are ended with the case.
#[derive(Clone)]
pub(crate) struct Yarn {
    web: SocketAddr,
    scheduler: String,
    shared: Arc<tempfile::TempDir>,
    applications: Arc<Mutex<Vec<ApplicationId>>>,
}

/// An answer of a REST API.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
    response: Response,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.response.header(name).unwrap_or_default()
    }

    /// Status, exception and message of an error.
    pub(crate) fn error(&self) -> (u16, String, String) {
        let error = &self.json()["RemoteException"];
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        (self.status, text("exception"), text("message"))
    }
}

/// A request to a port of the machine.
pub(crate) async fn ask(to: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> Answer {
    let [method, path, headers, body] = [method, path, headers, body].map(str::to_owned);
    let asked = tokio::task::spawn_blocking(move || {
        http::request_with(to, &method, &path, &headers, &body, PATIENCE)
    });
    let response = asked.await.unwrap().unwrap();
    Answer {
        status: response.status,
        text: response.text(),
        response,
    }
}

pub(crate) const JSON: &str = "Accept: application/json\r\nContent-Type: application/json\r\n";

/// Looks until something is there.
pub(crate) async fn wait_for<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let search = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, search).await;
    found.unwrap_or_else(|_| panic!("{what}: it does not happen"))
}

impl Yarn {
    /// The cluster that a configuration directory describes.
    pub(crate) fn of(conf: &Path) -> Self {
        let conf = Configuration::builder().dir(conf).unwrap().build(&|_| None);
        let address = |key: &str| {
            conf.get(key)
                .unwrap_or_else(|| panic!("{key} is not set"))
                .to_owned()
        };
        Self {
            web: address("yarn.resourcemanager.webapp.address").parse().unwrap(),
            scheduler: address("yarn.resourcemanager.scheduler.address"),
            shared: Arc::new(tempfile::tempdir().unwrap()),
            applications: Arc::default(),
        }
    }

    /// The same cluster for another case.
    pub(crate) fn for_case(&self) -> Self {
        Self {
            applications: Arc::default(),
            ..self.clone()
        }
    }

    /// Ends what the case has left.
    pub(crate) async fn clean_up(&self) {
        let left = std::mem::take(&mut *self.applications.lock().unwrap());
        for id in left {
            self.send("PUT", &format!("/apps/{id}/state"), &json!({"state": "KILLED"}))
                .await;
        }
    }

    pub(crate) fn web(&self) -> SocketAddr {
        self.web
    }

    pub(crate) fn scheduler(&self) -> &str {
        &self.scheduler
    }

    /// A path in the folder that everybody can write to.
    pub(crate) fn path(&self, name: impl std::fmt::Display) -> PathBuf {
        self.shared.path().join(name.to_string())
    }

    /// `GET` below `/ws/v1/cluster`.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &Value::Null).await
    }

    /// A request of `ada` below `/ws/v1/cluster`.
    pub(crate) async fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.send_as("user.name=ada", method, path, body).await
    }

    /// A request of somebody, as the query says.
    pub(crate) async fn send_as(&self, query: &str, method: &str, path: &str, body: &Value) -> Answer {
        let joint = if path.contains('?') { '&' } else { '?' };
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let path = format!("{REST}{path}{joint}{query}");
        ask(self.web, method, &path, JSON, &body).await
    }

    pub(crate) async fn new_id(&self) -> ApplicationId {
        let answer = self.send("POST", "/apps/new-application", &Value::Null).await;
        let id = answer.json()["application-id"].as_str().unwrap().parse().unwrap();
        self.applications.lock().unwrap().push(id);
        id
    }

    /// Submits a shell command as ApplicationMaster, with more fields of the submission.
    pub(crate) async fn submit(&self, command: &str, more: Value) -> ApplicationId {
        let id = self.new_id().await;
        let answer = self.send("POST", "/apps", &submission(id, command, more)).await;
        assert_eq!(answer.status, 202, "{}", answer.text);
        id
    }

    /// The `app` object.
    pub(crate) async fn app(&self, id: ApplicationId) -> Value {
        self.get(&format!("/apps/{id}")).await.json()["app"].take()
    }

    /// The `app` object once its state is this one.
    pub(crate) async fn app_in(&self, id: ApplicationId, state: &str) -> Value {
        self.app_with(id, "state", &json!(state)).await
    }

    /// The `app` object once a field has this value: the ResourceManager's parts tell each other by events, so what
    /// one of them has answered is seen in a report a little later.
    pub(crate) async fn app_with(&self, id: ApplicationId, field: &str, value: &Value) -> Value {
        wait_for(&format!("{id} has {field} {value}"), async || {
            let app = self.app(id).await;
            (app[field] == *value).then_some(app)
        })
        .await
    }

    /// The one attempt's fields, from the list of attempts.
    pub(crate) async fn attempts(&self, id: ApplicationId) -> Vec<Value> {
        let answer = self.get(&format!("/apps/{id}/appattempts")).await;
        answer.json()["appAttempts"]["appAttempt"]
            .as_array()
            .unwrap()
            .clone()
    }

    /// Kills as `ada`, until it is done.
    pub(crate) async fn kill(&self, id: ApplicationId) {
        let path = format!("/apps/{id}/state");
        wait_for("the kill", async || {
            let answer = self.send("PUT", &path, &json!({"state": "KILLED"})).await;
            (answer.status == 200).then_some(())
        })
        .await;
    }

    /// What an ApplicationMaster does that leaves its credentials and waits for its end.
    pub(crate) fn idle(&self) -> String {
        let path = self.shared.path().display();
        format!(
            "cp container_tokens {path}/new.$CONTAINER_ID; mv {path}/new.$CONTAINER_ID {path}/$CONTAINER_ID; exec sleep 300"
        )
    }

    /// The token that an attempt's ApplicationMaster was given.
    pub(crate) async fn token(&self, attempt: ApplicationAttemptId) -> Token {
        let path = self.path(ContainerId::new(attempt, 1));
        let what = format!("the token of {attempt}");
        let credentials = wait_for(&what, async || Credentials::load(&path).ok()).await;
        credentials.am_rm_token(attempt).unwrap().clone()
    }

    /// Calls of the holder of a token to the scheduler's service.
    pub(crate) fn client(&self, token: Token) -> RpcClient {
        RpcClient::new(
            vec![self.scheduler.clone()],
            Protocol::APPLICATION_MASTER,
            ClientIdentity::Token(token),
            RpcConfig::default(),
        )
    }

    /// An ApplicationMaster that is played by the case, not registered yet.
    pub(crate) async fn unregistered(&self, more: Value) -> Master {
        let id = self.submit(&self.idle(), more).await;
        self.master_of(id.attempt(1)).await
    }

    /// The ApplicationMaster of an attempt, not registered yet.
    pub(crate) async fn master_of(&self, attempt: ApplicationAttemptId) -> Master {
        let token = self.token(attempt).await;
        Master::new(attempt, self.client(token))
    }

    /// An ApplicationMaster that is played by the case.
    pub(crate) async fn master(&self) -> Master {
        self.master_with(Value::Null).await
    }

    /// Registers a master with these pages; the ResourceManager's other parts know of it when this returns.
    pub(crate) async fn registered(&self, mut master: Master, pages: &str) -> Master {
        master.register_at(pages).await.unwrap();
        self.app_in(master.app(), "RUNNING").await;
        master
    }

    /// A container whose process has begun this shell command, and its process id.
    pub(crate) async fn ready(&self, master: &mut Master, command: &str) -> (Container, i32) {
        self.ready_after(master, "", command).await
    }

    /// The same with what the shell does before, such as setting a trap: whoever finds it ready finds that done.
    pub(crate) async fn ready_after(
        &self,
        master: &mut Master,
        before: &str,
        command: &str,
    ) -> (Container, i32) {
        let container = master.container().await;
        let path = self.path(format!("ready-{}", container.id));
        let begun = path.display();
        let context = shell(&format!(
            "{before} echo $$ > {begun}.new; mv {begun}.new {begun}; {command}"
        ));
        master
            .nodes()
            .start_container(&container, &context)
            .await
            .unwrap();
        let pid = master.file(&path).await.trim().parse().unwrap();
        (container, pid)
    }

    /// What a container's command prints, run to a good end.
    pub(crate) async fn output(
        &self,
        change: impl FnOnce(&mut ContainerLaunchContext),
        command: &str,
    ) -> String {
        let mut master = self.master().await;
        let path = self.path(format!("output-{}", master.attempt));
        let mut context = shell(&format!("{{ {command}; }} > {}", path.display()));
        change(&mut context);
        let end = master.run(&context).await;
        assert_eq!(end.status, 0, "{}", end.diagnostics);
        std::fs::read_to_string(path).unwrap()
    }

    /// The same, with more fields of the submission.
    pub(crate) async fn master_with(&self, more: Value) -> Master {
        let master = self.unregistered(more).await;
        self.registered(master, "").await
    }
}

/// The body of a submission.
pub(crate) fn submission(id: ApplicationId, command: &str, more: Value) -> Value {
    let mut body = json!({
        "application-id": id.to_string(),
        "application-name": "conformance",
        "application-type": "TEST",
        "max-app-attempts": 1,
        "resource": {"memory": 64, "vCores": 1},
        "am-container-spec": {"commands": {"command": command}},
    });
    if let Value::Object(more) = more {
        body.as_object_mut().unwrap().extend(more);
    }
    body
}

/// Whether a text holds all of these.
pub(crate) fn holds(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in {text:?}");
    }
}
