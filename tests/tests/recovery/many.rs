//! A job of many short tasks that write down when they begin and end. The last one waits at the gate, so that the job
//! is not over before the test has done and seen what it is about, on however fast or slow a machine.

use harness::application::{Application, STEP};
use harness::hadoop::Hadoop;
use harness::process::Running;
use harness::processes::Process;
use harness::user::User;
use harness::wait;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// One line that a task wrote: which attempt, where, when.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    /// `TASK.ATTEMPT`
    pub(crate) attempt: String,
    pub(crate) executor: String,
    /// Nanoseconds since 1970.
    pub(crate) at: u128,
    /// The attempt of the application that its executor obeyed.
    pub(crate) epoch: u32,
}

impl Mark {
    pub(crate) fn task(&self) -> &str {
        self.attempt.split('.').next().unwrap()
    }
}

pub(crate) fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()
}

/// What the job is like.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub(crate) name: String,
    pub(crate) tasks: usize,
    /// How long each task sleeps.
    pub(crate) seconds: &'static str,
    pub(crate) executors: usize,
    pub(crate) memory: &'static str,
    /// More settings, each with a comma before it.
    pub(crate) conf: &'static str,
    /// How many ApplicationMasters.
    pub(crate) attempts: u32,
    /// Results go where HDFS has no part in it.
    pub(crate) local_output: bool,
}

impl Shape {
    pub(crate) fn new(name: &str, tasks: usize, seconds: &'static str) -> Self {
        Self {
            name: name.to_owned(),
            tasks,
            seconds,
            executors: 3,
            memory: "256MiB",
            conf: "",
            attempts: 2,
            local_output: false,
        }
    }

    /// A node has room for one executor, so that each of three gets one.
    pub(crate) fn on_every_node(self) -> Self {
        Self {
            memory: "2300MiB",
            ..self
        }
    }

    pub(crate) fn conf(self, conf: &'static str) -> Self {
        Self { conf, ..self }
    }

    pub(crate) fn attempts(self, attempts: u32) -> Self {
        Self { attempts, ..self }
    }

    pub(crate) fn local_output(self) -> Self {
        Self {
            local_output: true,
            ..self
        }
    }

    fn job(&self, dir: &str, gate: &str) -> String {
        let Self {
            name,
            tasks,
            seconds,
            executors,
            memory,
            conf,
            attempts,
            ..
        } = self;
        let last = tasks - 1;
        format!(
            "version: 1
name: {name}
am: {{ max-attempts: {attempts} }}
executors: {{ instances: {executors}, memory: {memory}, cores: 1 }}
conf: {{ task.max-failures: 1, executor.heartbeat.interval: 500ms, executor.heartbeat.suspect: 3s{conf} }}
stages:
  - name: work
    tasks: {tasks}
    shell: |
      mark() {{ echo $DRAWLOOM_TASK.$DRAWLOOM_TASK_ATTEMPT $DRAWLOOM_EXECUTOR_ID $(date +%s%N) $DRAWLOOM_ATTEMPT >> {dir}/$1; }}
      mark began
      sleep {seconds}
      if [ $DRAWLOOM_TASK = {last} ]; then {gate}; fi
      mark ended
      echo result of $DRAWLOOM_TASK
    output: {}
",
            self.output(dir)
        )
    }

    fn output(&self, dir: &str) -> String {
        if self.local_output {
            format!("file://{dir}/results")
        } else {
            "results".to_owned()
        }
    }
}

/// The job, running.
pub(crate) struct Many<'a> {
    pub(crate) user: User<'a>,
    pub(crate) shape: Shape,
    client: Option<Running>,
    pub(crate) application: Application<'a>,
}

impl<'a> Many<'a> {
    pub(crate) fn begin(hadoop: &'a Hadoop, shape: Shape) -> Self {
        let user = User::new(hadoop, &shape.name).unwrap();
        let job = shape.job(&user.dir().display().to_string(), &user.gate().wait());
        let mut client = user.submit(&job, &[]).unwrap();
        let application = Application::submitted_by(hadoop, &mut client).unwrap();
        Self {
            user,
            shape,
            client: Some(client),
            application,
        }
    }

    /// Where its files are staged on HDFS.
    pub(crate) fn staging(&self) -> String {
        let (user, id) = (self.user.name(), self.application.id());
        format!("/user/{user}/.drawloom/apps/{id}")
    }

    pub(crate) fn marks(&self, name: &str) -> Vec<Mark> {
        let path: PathBuf = self.user.dir().join(name);
        let text = fs::read_to_string(path).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let mark = |line: &str| {
            let words: Vec<_> = line.split(' ').collect();
            Mark {
                attempt: words[0].to_owned(),
                executor: words[1].to_owned(),
                at: words[2].parse().unwrap(),
                epoch: words[3].parse().unwrap(),
            }
        };
        whole.lines().map(mark).collect()
    }

    pub(crate) fn wait_ended(&self, count: usize) {
        let limit = STEP * 4;
        wait::until("tasks to end", limit, || self.marks("ended").len() >= count).unwrap();
    }

    pub(crate) fn wait_percent(&self, percent: usize) {
        self.wait_ended((self.shape.tasks * percent).div_ceil(100));
    }

    /// Waits until nothing was begun for so long.
    pub(crate) fn wait_quiet(&self, time: Duration) {
        let quiet = || {
            let last = self.marks("began").iter().map(|mark| mark.at).max();
            last.is_some_and(|last| now().saturating_sub(last) >= time.as_nanos())
        };
        wait::until("a time in which nothing is begun", STEP, quiet).unwrap();
    }

    pub(crate) fn master(&self, attempt: u32) -> Process {
        // A ResourceManager that has restarted puts its epoch into the ids of containers.
        let tail = format!("_{attempt:02}_000001");
        let is_master = |process: &Process| {
            let container = process.variable("CONTAINER_ID").unwrap_or_default();
            process.command.ends_with("drawloom am") && container.ends_with(&tail)
        };
        let find = || Ok(self.application.processes().into_iter().find(is_master));
        wait::for_value("an ApplicationMaster", STEP, find).unwrap()
    }

    /// Waits until the ApplicationMaster of an attempt has logged something.
    pub(crate) fn wait_log(&self, attempt: u32, words: &str) {
        let tail = format!("_{attempt:02}_000001");
        let log = || {
            let containers = self.application.containers();
            let found = containers.iter().find(|one| one.container.ends_with(&tail));
            found.and_then(|one| fs::read_to_string(one.logs.join("stderr")).ok())
        };
        let said = || log().is_some_and(|log| log.contains(words));
        let waited = wait::until(&format!("attempt {attempt} to say {words:?}"), STEP, said);
        assert!(waited.is_ok(), "{waited:?}; it said {:?}", log());
    }

    pub(crate) fn executors(&self) -> BTreeSet<i32> {
        let sessions = || {
            let all = self.sessions();
            Ok((all.len() == self.shape.executors).then_some(all))
        };
        wait::for_value("the executors", STEP, sessions).unwrap()
    }

    fn sessions(&self) -> BTreeSet<i32> {
        self.application.executors().iter().map(|one| one.pid).collect()
    }

    /// Requires these executors, and no others: a task looks like its executor until it runs its command.
    pub(crate) fn must_have(&self, executors: &BTreeSet<i32>) {
        wait::until("the executors of before", STEP, || self.sessions() == *executors).unwrap();
    }

    /// Lets the job end, and requires success after so many attempts, and the right results.
    pub(crate) fn must_succeed(&mut self, attempts: usize) {
        self.user.gate().open().unwrap();
        let output = self.client.take().unwrap().wait(STEP * 4).unwrap();
        output.must_end(0, &["verdict    succeeded"]);
        let report = self.application.report().unwrap();
        assert_eq!(report["finalStatus"], "SUCCEEDED", "{report}");
        assert_eq!(self.attempts(), attempts);
        let place = self.shape.output(&self.user.dir().display().to_string());
        let results = self.user.must(["fs", "cat", &format!("{place}/part-*")]).unwrap();
        let expected: String = (0..self.shape.tasks)
            .map(|task| format!("result of {task}\n"))
            .collect();
        assert_eq!(results, expected);
        self.application.wait_gone().unwrap();
        assert_eq!(self.user.staged().unwrap(), [""; 0]);
    }

    /// Requires that it ends with this code and these words after so many attempts.
    pub(crate) fn must_fail(&mut self, attempts: usize, code: i32, words: &[&str]) {
        let output = self.client.take().unwrap().wait(STEP * 4).unwrap();
        output.must_end(code, words);
        let report = self.application.report().unwrap();
        assert_eq!(report["finalStatus"], "FAILED", "{report}");
        assert_eq!(self.attempts(), attempts);
        self.application.wait_gone().unwrap();
    }

    fn attempts(&self) -> usize {
        let path = format!("/ws/v1/cluster/apps/{}/appattempts", self.application.id());
        let listed = self.user.hadoop().rm_get(&path).unwrap();
        listed["appAttempts"]["appAttempt"].as_array().unwrap().len()
    }

    /// How often each task was begun, where that is not once.
    pub(crate) fn begun_again(&self) -> BTreeMap<String, usize> {
        let mut begun = BTreeMap::new();
        for mark in self.marks("began") {
            *begun.entry(mark.task().to_owned()).or_insert(0) += 1;
        }
        assert_eq!(begun.len(), self.shape.tasks);
        begun.retain(|_, times| *times != 1);
        begun
    }

    /// Requires that nothing was begun twice.
    pub(crate) fn must_have_run_once(&self) {
        assert_eq!(self.begun_again(), BTreeMap::new(), "nothing is run again");
    }
}
