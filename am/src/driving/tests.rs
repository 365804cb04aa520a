//! The shell over a journal on local files, lost and followed by another one.

use super::*;
use crate::journal::{Base, Past, PastError, PlanOf, look_back};
use driver::plan::{BodyPlan, ExecutorPlan, FeedPlan, Settings, TaskSource, VERSION};
use hadoop::conf::Configuration;
use std::collections::BTreeMap;
use wire::id::{BootNonce, TaskAttemptId};
use wire::launcher::Registration;
use wire::message::TaskReport;
use wire::task::TaskMetrics;

/// How long a step may take on a busy machine.
const STEP: Duration = Duration::from_secs(120);
/// Of the driver's clock; no test lets time pass.
const NOW: Duration = Duration::from_secs(1);

const STAGE: StageKey = StageKey {
    job: 0,
    stage: 0,
    stage_attempt: 0,
};

/// Of the staged plan.
const DIGEST: [u8; 32] = [7; 32];

/// An application's staging directory.
struct Rig {
    directory: tempfile::TempDir,
    systems: Arc<FileSystems>,
    plan: AppPlan,
}

impl Rig {
    /// For one stage of two tasks, on one executor of two slots.
    fn new() -> Self {
        let conf = BTreeMap::from([("fs.defaultFS".to_owned(), "file:///".to_owned())]);
        let systems = FileSystems::builder(&Configuration::from_map(conf), "ada")
            .build()
            .unwrap();
        let directory = tempfile::tempdir().unwrap();
        Self {
            plan: plan(),
            directory,
            systems: Arc::new(systems),
        }
    }

    fn uri(&self, name: &str) -> String {
        format!("file://{}/{name}", self.directory.path().display())
    }

    fn driving(&self, attempt: u32, past: Option<Past>) -> Driving {
        let base = Base {
            zero_unix: Duration::ZERO,
            plan: Some(DIGEST),
            checkpoint: past.as_ref().map(|past| past.core.checkpoint().into()),
            results: None,
        };
        let mut driving = Driving::new(self.plan.clone(), Arc::clone(&self.systems), "application_1_0001");
        if let Some(past) = past {
            driving = driving.following(past.core, past.results);
        }
        let results = driving.results();
        let (systems, patience) = (Arc::clone(&self.systems), self.plan.settings.journal_patience);
        let scribe = Scribe::start(systems, &self.uri("staging"), attempt, base, results, patience);
        driving.with_journal(scribe)
    }

    /// The first attempt with all tasks given to the executor, and everything so far in the journal.
    async fn begun(&self) -> Driving {
        let mut driving = self.driving(1, None);
        let mut commands = Vec::new();
        driving.begin(None);
        until(&mut driving, &mut commands, |command| {
            matches!(command, LauncherCommand::SetTarget(_))
        })
        .await;
        driving.report(NOW, registered(&[]), &mut commands);
        until(&mut driving, &mut commands, |command| {
            matches!(told(command), Some(GatewayMessage::Launch { .. }))
        })
        .await;
        settled(&mut driving).await;
        driving
    }

    async fn look_back(&self, attempt: u32, digest: [u8; 32]) -> Result<Option<Past>, PastError> {
        let plan = self.plan.clone();
        look_back(
            &self.systems,
            &self.uri("staging"),
            attempt,
            &PlanOf { plan, digest },
        )
        .await
    }

    /// The attempt after that, whose executor is back and holds `running`.
    async fn followed(&self, attempt: u32, running: &[TaskAttemptId]) -> Driving {
        let past = self.look_back(attempt, DIGEST).await;
        let mut driving = self.driving(attempt, past.unwrap());
        let mut commands = Vec::new();
        driving.resume(NOW, vec![executor()], STEP, &mut commands);
        driving.report(NOW, registered(running), &mut commands);
        driving
    }
}

fn plan() -> AppPlan {
    AppPlan {
        version: VERSION,
        name: "lost".into(),
        executors: ExecutorPlan {
            instances: 1,
            memory_mib: 512,
            cores: 2,
            resources: BTreeMap::new(),
            shares_memory: true,
        },
        env: BTreeMap::new(),
        files: vec![],
        stages: vec![StagePlan {
            name: "work".into(),
            after: vec![],
            source: TaskSource::Tasks(2),
            body: BodyPlan::Shell("true".into()),
            env: BTreeMap::new(),
            feed: FeedPlan::None,
            output: None,
            cores: 1,
            memory_mib: None,
            resources: BTreeMap::new(),
            timeout: None,
            max_failures: None,
            scheduling: driver::policy::StageScheduling::default(),
        }],
        settings: Settings::default(),
        scheduling: driver::policy::Scheduling::default(),
    }
}

fn executor() -> ExecutorId {
    "container_1_0001_01_000002".parse().unwrap()
}

fn id(partition: u32) -> TaskAttemptId {
    TaskAttemptId {
        stage: STAGE,
        partition,
        attempt: 0,
    }
}

fn registered(running: &[TaskAttemptId]) -> LauncherReport {
    LauncherReport::ExecutorRegistered(Registration {
        executor: executor(),
        boot: BootNonce(7),
        host: "n1".to_owned(),
        slots: 2,
        running: running.to_vec(),
    })
}

fn finished(partition: u32) -> LauncherReport {
    gave_back(partition, None)
}

fn gave_back(partition: u32, result: Option<TaskResult>) -> LauncherReport {
    let report = TaskReport {
        sequence: u64::from(partition) + 1,
        id: id(partition),
        metrics: TaskMetrics::default(),
        outcome: Ok(()),
        result,
        counters: Vec::new(),
    };
    LauncherReport::Heard {
        executor: executor(),
        message: ExecutorMessage::TaskFinished(Box::new(report)),
    }
}

fn told(command: &LauncherCommand) -> Option<&GatewayMessage> {
    match command {
        LauncherCommand::Tell { message, .. } => Some(message),
        _ => None,
    }
}

fn is_acknowledgement(command: &LauncherCommand) -> bool {
    matches!(told(command), Some(GatewayMessage::Acknowledge { .. }))
}

/// Lets errands end until a command is what is wanted.
async fn until(
    driving: &mut Driving,
    commands: &mut Vec<LauncherCommand>,
    wanted: impl Fn(&LauncherCommand) -> bool,
) {
    let work = async {
        while !commands.iter().any(&wanted) {
            let errand = driving.next_errand().await;
            driving.finish(NOW, errand, commands).unwrap();
        }
    };
    tokio::time::timeout(STEP, work)
        .await
        .expect("the command does not come");
}

/// Waits until everything is in the journal.
async fn settled(driving: &mut Driving) {
    let mut commands = Vec::new();
    let safe = |driving: &Driving| {
        let journal = driving.journal.as_ref().unwrap();
        journal.kept() == journal.appended()
    };
    while !safe(driving) {
        let errand = tokio::time::timeout(STEP, driving.next_errand()).await;
        driving
            .finish(NOW, errand.expect("a flush"), &mut commands)
            .unwrap();
    }
}

#[tokio::test]
async fn w5_a_report_that_was_heard_and_not_kept_is_sent_again_and_counts_once() {
    let rig = Rig::new();
    let mut first = rig.begun().await;
    let mut commands = Vec::new();
    first.report(NOW, finished(0), &mut commands);
    assert_eq!(first.core().progress(), (1, 2));
    assert!(!commands.iter().any(is_acknowledgement), "it is not safe yet");
    drop(first);
    // The executor goes on holding both: one runs, the other's report is not acknowledged.
    let mut second = rig.followed(2, &[id(0), id(1)]).await;
    assert_eq!(second.core().progress(), (0, 2));
    second.report(NOW, finished(0), &mut commands);
    let records = second.journal.as_ref().unwrap().appended();
    second.report(NOW, finished(0), &mut commands);
    assert_eq!(
        second.journal.as_ref().unwrap().appended(),
        records,
        "nothing is noted twice"
    );
    until(&mut second, &mut commands, is_acknowledgement).await;
    assert_eq!(second.core().progress(), (1, 2));
    let again = commands.iter().filter_map(told);
    let again = again.filter(|message| matches!(message, GatewayMessage::Launch { .. }));
    assert_eq!(again.count(), 0, "both tasks are in good hands");
    drop(second);
    let third = rig.followed(3, &[id(1)]).await;
    assert_eq!(third.core().progress(), (1, 2), "the acknowledged one is safe");
}

impl Rig {
    /// The same with functions, whose results go to `out`.
    fn of_functions() -> Self {
        let mut rig = Self::new();
        rig.plan.stages[0].body = BodyPlan::Function("square".to_owned());
        rig.plan.stages[0].output = Some(OutputPlan {
            uri: rig.uri("out"),
            overwrite: false,
            directory: false,
        });
        rig
    }

    /// Has the second task give back its result, too, and requires both in place.
    async fn must_end_well(&self, mut driving: Driving) {
        let mut commands = Vec::new();
        driving.report(
            NOW,
            LauncherReport::ResourceManagerHeard { ago: Duration::ZERO },
            &mut commands,
        );
        driving.report(NOW, gave_back(1, Some(inline("1"))), &mut commands);
        until(&mut driving, &mut commands, |command| {
            matches!(command, LauncherCommand::Finish(Verdict::Succeeded))
        })
        .await;
        let launched =
            |command: &LauncherCommand| matches!(told(command), Some(GatewayMessage::Launch { .. }));
        assert!(!commands.iter().any(launched), "nothing is called again");
        let written = self.directory.path().join("out").join(crate::results::FILE);
        let written = std::fs::read_to_string(written).unwrap();
        assert_eq!(written, "{\"value\":0}\n{\"value\":1}\n");
    }
}

fn inline(json: &'static str) -> TaskResult {
    TaskResult::Inline(bytes::Bytes::from_static(json.as_bytes()))
}

#[tokio::test]
async fn what_functions_gave_back_outlives_the_process() {
    let rig = Rig::of_functions();
    let mut first = rig.begun().await;
    let mut commands = Vec::new();
    first.report(NOW, gave_back(0, Some(inline("0"))), &mut commands);
    until(&mut first, &mut commands, is_acknowledgement).await;
    drop(first);
    let second = rig.followed(2, &[id(1)]).await;
    assert_eq!(second.core().progress(), (1, 2));
    rig.must_end_well(second).await;
}

#[tokio::test]
async fn what_functions_gave_back_outlives_the_records_and_several_processes() {
    let rig = Rig::of_functions();
    let mut first = rig.begun().await;
    let mut commands = Vec::new();
    first.report(NOW, gave_back(0, Some(inline("0"))), &mut commands);
    for _ in 0..2 {
        let (checkpoint, results) = (first.core.checkpoint(), first.results());
        first.journal.as_mut().unwrap().rebase(checkpoint, results);
        settled(&mut first).await;
    }
    let journal = std::fs::read_dir(rig.directory.path().join("staging/journal")).unwrap();
    let names = journal.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names: Vec<_> = names.filter(|name| name.starts_with("results")).collect();
    assert_eq!(names, ["results-1-2"], "the one before is gone");
    drop(first);
    let mut second = rig.followed(2, &[id(1)]).await;
    settled(&mut second).await;
    drop(second);
    rig.must_end_well(rig.followed(3, &[id(1)]).await).await;
}

#[tokio::test]
async fn large_results_that_waited_for_the_journal_are_all_in_it() {
    let mut rig = Rig::of_functions();
    rig.plan.stages[0].source = TaskSource::Tasks(12);
    let mut first = rig.begun().await;
    let mut commands = Vec::new();
    // None of them is written before the first await.
    let large = bytes::Bytes::from(vec![b'7'; 1 << 20]);
    for partition in 0..12 {
        let result = TaskResult::Inline(large.clone());
        first.report(NOW, gave_back(partition, Some(result)), &mut commands);
    }
    settled(&mut first).await;
    assert_eq!(first.core().progress().0, 12);
    drop(first);
    let past = rig.look_back(2, DIGEST).await.unwrap().unwrap();
    let read: Vec<_> = past
        .results
        .snapshot()
        .unwrap()
        .iter()
        .map(Result::unwrap)
        .collect();
    assert_eq!(read.len(), 12);
    let all = |kept: &crate::journal::KeptResult| kept.result == TaskResult::Inline(large.clone());
    assert!(read.iter().all(all));
}

#[tokio::test]
async fn results_are_not_written_where_somebody_else_is_at_work() {
    let rig = Rig::of_functions();
    let mut driving = rig.begun().await;
    let out = rig.directory.path().join("out");
    std::fs::remove_dir_all(&out).unwrap();
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("theirs"), "").unwrap();
    let mut commands = Vec::new();
    driving.report(
        NOW,
        LauncherReport::ResourceManagerHeard { ago: Duration::ZERO },
        &mut commands,
    );
    for (partition, json) in [(0, "0"), (1, "1")] {
        driving.report(NOW, gave_back(partition, Some(inline(json))), &mut commands);
    }
    let over = |command: &LauncherCommand| matches!(command, LauncherCommand::Finish(_));
    until(&mut driving, &mut commands, over).await;
    let Some(LauncherCommand::Finish(Verdict::Failed(why))) = commands.into_iter().find(over) else {
        panic!("it has failed");
    };
    assert!(why.contains("is not ours any more"), "{why}");
    let left = std::fs::read_dir(&out).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["theirs"]);
}

#[tokio::test]
async fn a_verdict_before_the_first_task_is_told_by_the_next_attempt_and_not_found_again() {
    let mut rig = Rig::new();
    rig.plan.stages[0].output = Some(OutputPlan {
        uri: rig.uri("out"),
        overwrite: false,
        directory: false,
    });
    std::fs::create_dir(rig.directory.path().join("out")).unwrap();
    let theirs = rig.directory.path().join("out/theirs");
    std::fs::write(&theirs, "").unwrap();
    let over = |command: &LauncherCommand| matches!(command, LauncherCommand::Finish(Verdict::Failed(_)));
    let (mut first, mut commands) = (rig.driving(1, None), Vec::new());
    first.begin(None);
    until(&mut first, &mut commands, over).await;
    drop(first);
    // Whatever is there by now: it has been decided.
    std::fs::remove_file(theirs).unwrap();
    let past = rig.look_back(2, DIGEST).await.unwrap();
    let (mut second, mut again) = (rig.driving(2, past), Vec::new());
    second.resume(NOW, Vec::new(), STEP, &mut again);
    assert_eq!(again.last(), commands.iter().rfind(|command| over(command)));
}

/// The entries are there and the results are not, as in the journal of a build that kept none.
#[tokio::test]
async fn functions_whose_results_are_lost_are_called_again() {
    let rig = Rig::of_functions();
    let mut first = rig.begun().await;
    let mut commands = Vec::new();
    first.report(NOW, gave_back(0, Some(inline("0"))), &mut commands);
    let checkpoint = first.core.checkpoint();
    first.journal.as_mut().unwrap().rebase(checkpoint, None);
    settled(&mut first).await;
    drop(first);
    let second = rig.followed(2, &[id(1)]).await;
    assert_eq!(second.core().progress(), (0, 2));
}

#[tokio::test]
async fn the_journal_of_another_plan_is_refused() {
    let rig = Rig::new();
    drop(rig.begun().await);
    let refused = rig.look_back(2, [8; 32]).await.unwrap_err();
    assert!(!refused.is_transient());
    let text = refused.to_string();
    assert!(
        text.starts_with("the journal cannot be used: attempt 1 kept it for another plan"),
        "{text}"
    );
    assert!(text.contains("digest 080808080808, then 070707070707"), "{text}");
    assert!(rig.look_back(2, DIGEST).await.unwrap().is_some());
}
