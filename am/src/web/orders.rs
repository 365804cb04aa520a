//! Orders: what a person who may change the application can have done, as `PUT` with a state in JSON, in the manner
//! of the ResourceManager's own `/apps/ID/state`.

use serde::Deserialize;
use wire::id::ExecutorId;

use super::{Answer, Request};

/// Something to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// End a job: `jobs/N/state`, `KILLED`.
    KillJob(u32),
    /// End the attempts of a task, which then runs again: `stages/S/tasks/N/state`, `KILLED`.
    KillTask {
        /// The number of its stage.
        stage: u32,
        /// Its number.
        task: u32,
    },
    /// End an executor, which is replaced: `executors/ID/state`, `STOPPED`.
    StopExecutor(ExecutorId),
    /// Let an executor finish what it runs, and replace it: `executors/ID/state`, `DRAINING`.
    DrainExecutor(ExecutorId),
}

/// The body of an order.
#[derive(Debug, Deserialize)]
struct Body {
    state: String,
}

impl Order {
    /// Reads the order of a request to the path below `/api/v1/drawloom`.
    ///
    /// # Errors
    /// The answer that says what is wrong.
    pub(super) fn read(request: &Request) -> Result<Self, Answer> {
        let parts: Vec<&str> = request.path.split('/').filter(|part| !part.is_empty()).collect();
        let ["api", "v1", "drawloom", ref rest @ ..] = parts[..] else {
            return Err(Answer::text(404, "nothing can be changed here"));
        };
        let body: Body = serde_json::from_slice(request.order.as_deref().unwrap_or_default())
            .map_err(|error| Answer::text(400, &format!("an order is {{\"state\": …}}: {error}")))?;
        let wrong = |states: &str| {
            let text = format!(
                "the state {:?} cannot be ordered here; one of: {states}",
                body.state
            );
            Answer::text(400, &text)
        };
        match (rest, body.state.as_str()) {
            (["jobs", job, "state"], "KILLED") => number(job).map(Self::KillJob),
            (["stages", stage, "tasks", task, "state"], "KILLED") => Ok(Self::KillTask {
                stage: number(stage)?,
                task: number(task)?,
            }),
            (["executors", id, "state"], "STOPPED") => executor(id).map(Self::StopExecutor),
            (["executors", id, "state"], "DRAINING") => executor(id).map(Self::DrainExecutor),
            (["jobs", _, "state"] | ["stages", _, "tasks", _, "state"], _) => Err(wrong("KILLED")),
            (["executors", _, "state"], _) => Err(wrong("STOPPED, DRAINING")),
            _ => Err(Answer::text(404, "nothing can be changed here")),
        }
    }
}

fn number(text: &str) -> Result<u32, Answer> {
    text.parse()
        .map_err(|_| Answer::text(400, &format!("{text:?} is no number")))
}

fn executor(text: &str) -> Result<ExecutorId, Answer> {
    text.parse()
        .map_err(|_| Answer::text(400, &format!("{text:?} is no executor")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str, body: &'static str) -> Result<Order, u16> {
        let request = Request {
            path: path.to_owned(),
            order: Some(body.into()),
            ..Request::default()
        };
        Order::read(&request).map_err(|answer| answer.status)
    }

    #[test]
    fn an_order_is_read_and_nonsense_is_refused() {
        let base = "/api/v1/drawloom";
        let id = "container_1717955085543_0001_01_000002";
        let executor = format!("{base}/executors/{id}/state");
        let killed = r#"{"state":"KILLED"}"#;
        assert_eq!(
            read(&format!("{base}/jobs/1/state"), killed),
            Ok(Order::KillJob(1))
        );
        let task = Order::KillTask { stage: 0, task: 7 };
        assert_eq!(read(&format!("{base}/stages/0/tasks/7/state"), killed), Ok(task));
        let drain = read(&executor, r#"{"state":"DRAINING"}"#);
        assert_eq!(drain, Ok(Order::DrainExecutor(id.parse().unwrap())));
        assert_eq!(read(&executor, killed), Err(400));
        assert_eq!(read(&format!("{base}/jobs/x/state"), killed), Err(400));
        assert_eq!(read(&format!("{base}/jobs/1/state"), "state=KILLED"), Err(400));
        assert_eq!(read(&format!("{base}/summary"), killed), Err(404));
        assert_eq!(read("/", killed), Err(404));
    }
}
