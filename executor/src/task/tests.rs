//! What the tests of tasks share.

use std::path::Path;

use wire::amounts::Amounts;
use wire::id::{StageKey, TaskAttemptId};
use wire::task::{Body, Capture, Feed, StageSpec, TaskSpec};

use crate::settings::{Environment, Settings};

pub(crate) const STAGE: StageKey = StageKey {
    job: 0,
    stage: 0,
    stage_attempt: 0,
};

pub(crate) fn stage(script: &str) -> StageSpec {
    StageSpec {
        key: STAGE,
        name: "count".to_owned(),
        tasks: 10,
        body: Body::Shell(script.to_owned()),
        environment: Vec::new(),
        feed: Feed::Stdin,
        capture: Capture::Log,
        output: None,
        files: Vec::new(),
        timeout: None,
        memory_limit: None,
        cores: 1,
        resources: Amounts::default(),
        results: None,
    }
}

pub(crate) fn task(partition: u32, attempt: u32) -> TaskSpec {
    TaskSpec {
        id: TaskAttemptId {
            stage: STAGE,
            partition,
            attempt,
        },
        item: None,
        inputs: Vec::new(),
    }
}

pub(crate) fn settings(container: &Path) -> Settings {
    let token_file = container.join("container_tokens").display().to_string();
    let logs = container.display().to_string();
    let variables = [
        ("DRAWLOOM_GATEWAY", "localhost:1"),
        ("DRAWLOOM_APP_ID", "application_1_0001"),
        ("DRAWLOOM_EPOCH", "1"),
        ("DRAWLOOM_SLOTS", "2"),
        ("DRAWLOOM_MEMORY_MIB", "512"),
        ("CONTAINER_ID", "container_1_0001_01_000002"),
        ("NM_HOST", "localhost"),
        ("LOG_DIRS", &logs),
        ("HADOOP_TOKEN_FILE_LOCATION", &token_file),
    ];
    let environment: Environment = variables
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    Settings::read(environment, container).unwrap()
}
