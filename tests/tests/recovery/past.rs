//! What an ApplicationMaster has left, read as its successor reads it.

use crate::many::Many;
use am::journal::{PlanOf, look_back};
use am::launch::PLAN_FILE_NAME;
use dfs::FileSystems;
use driver::view::TaskStatus;
use hadoop::conf::Configuration;
use std::collections::BTreeSet;

/// The tasks that are done in the journal of the first attempt, which can write no more from here on. Its process
/// must be gone and its successor not there yet.
pub(crate) fn done_in_journal(many: &Many<'_>) -> BTreeSet<String> {
    let directory = many.user.hadoop().conf_dir();
    let conf = Configuration::load(&directory, &|_| None).unwrap();
    let systems = FileSystems::builder(&conf, many.user.name()).build().unwrap();
    let staging = format!("{}{}", many.user.hadoop().default_fs(), many.staging());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let past = runtime.block_on(async {
        let plan = am::staged::read(&systems, &staging, PLAN_FILE_NAME)
            .await
            .unwrap();
        let plan = PlanOf {
            plan: serde_json::from_slice(&plan).unwrap(),
            digest: dfs::staging::digest(&plan),
        };
        look_back(&systems, &staging, 2, &plan).await.unwrap()
    });
    let tasks = past
        .expect("the first attempt has left something")
        .core
        .tasks(0, 0, usize::MAX);
    let done = tasks
        .into_iter()
        .filter(|task| task.status == TaskStatus::Succeeded);
    done.map(|task| task.partition.to_string()).collect()
}
