//! Attempts that are launched ahead, with a model of the pool that begins one when another ends.

use super::*;
use crate::task::line::Line;

/// Slots of the executor.
const SLOTS: usize = 2;

/// The pool: what it runs, what waits there, and what it has said that the session has not heard.
struct Model {
    /// Those whose places are lent, too.
    running: Vec<u32>,
    /// All that ever began, in that order.
    begun: Vec<u32>,
    line: Line<()>,
    said: VecDeque<Event>,
    finished: BTreeSet<u32>,
    returned: Vec<u32>,
}

impl Model {
    fn begin(&mut self, id: TaskAttemptId) {
        self.running.push(id.partition);
        self.begun.push(id.partition);
    }

    fn hear(&mut self, message: &ExecutorMessage) {
        match message {
            ExecutorMessage::TaskFinished(report) => _ = self.finished.insert(report.id.partition),
            ExecutorMessage::Returned { ids } => self.returned.extend(ids.iter().map(|id| id.partition)),
            _ => {}
        }
    }
}

struct Shell {
    talk: Talk,
    /// Effects that are not applied yet.
    open: VecDeque<Effect>,
    pool: Model,
}

impl Shell {
    fn serving() -> Self {
        Self {
            talk: Talk::serving(),
            open: VecDeque::new(),
            pool: Model {
                running: Vec::new(),
                begun: Vec::new(),
                line: Line::new(2),
                said: VecDeque::new(),
                finished: BTreeSet::new(),
                returned: Vec::new(),
            },
        }
    }

    fn event(&mut self, event: Event) {
        let effects = self.talk.event(event);
        self.apply(effects);
    }

    fn hear(&mut self, message: GatewayMessage) {
        let effects = self.talk.hear(message);
        self.apply(effects);
    }

    /// As the link does: what follows from an effect comes after those that are there already.
    fn apply(&mut self, effects: Vec<Effect>) {
        let begin = self.open.is_empty();
        self.open.extend(effects);
        while let Some(effect) = self.open.front().filter(|_| begin) {
            match effect {
                &Effect::Launch { ref task, ahead, .. } => self.launch(task.id, ahead),
                &Effect::Retract(id) if self.pool.line.remove(id) => self.event(Event::Retracted { id }),
                &Effect::Cancel { id, .. } if self.pool.line.remove(id) => self.event(ended(id, None)),
                &Effect::Lend(id) => self.lend(id),
                &Effect::Cancel { id, .. } => self.end(id.partition),
                Effect::Send(envelope) => self.pool.hear(&envelope.message),
                _ => {}
            }
            self.open.pop_front();
        }
    }

    fn launch(&mut self, id: TaskAttemptId, ahead: bool) {
        if self.pool.line.enter(id, (), ahead).is_none() {
            return;
        }
        self.pool.begin(id);
        if ahead {
            self.event(Event::Begun { id });
        }
    }

    fn lend(&mut self, id: TaskAttemptId) {
        if let Some((id, ())) = self.pool.line.leave(id) {
            self.pool.begin(id);
            self.event(Event::Begun { id });
        }
    }

    fn reconnect(&mut self) {
        self.event(Event::ConnectionLost("test".to_owned()));
        let effects = self.talk.tick();
        self.apply(effects);
        self.event(Event::Connected);
        self.hear(GatewayMessage::Welcome(WELCOME));
    }

    /// An attempt ends; the session hears of it later.
    fn end(&mut self, partition: u32) {
        if let Some(place) = self.pool.running.iter().position(|one| *one == partition) {
            self.pool.running.remove(place);
            let next = self.pool.line.leave(id(partition)).map(|(next, ())| next);
            next.into_iter().for_each(|next| self.pool.begin(next));
            self.pool.said.push_back(ended(id(partition), next));
        }
    }

    /// Partitions of those that wait in the pool.
    fn line(&self) -> Vec<u32> {
        self.pool.line.waiting().map(|id| id.partition).collect()
    }

    fn deliver(&mut self) {
        if let Some(event) = self.pool.said.pop_front() {
            self.event(event);
        }
    }

    /// Ends all that runs, until nothing is left.
    fn finish(&mut self) {
        while !self.pool.running.is_empty() || !self.pool.said.is_empty() {
            if let Some(first) = self.pool.running.first().copied() {
                self.end(first);
            }
            self.deliver();
        }
    }
}

fn ended(id: TaskAttemptId, next: Option<TaskAttemptId>) -> Event {
    let end = TaskEnd::new(TaskMetrics::default(), Ok(()));
    Event::TaskEnded { id, end, next }
}

/// Many are ordered, and the first has ended: the session knows that they are short.
fn busy() -> Shell {
    let mut shell = Shell::serving();
    shell.hear(launch_many(0..60));
    shell.end(0);
    shell.deliver();
    shell
}

#[test]
fn of_many_short_attempts_the_next_ones_are_launched_ahead_and_begin_in_turn() {
    let mut shell = busy();
    assert_eq!(
        (&shell.pool.running[..], &shell.line()[..]),
        (&[1, 2][..], &[3, 4][..])
    );
    shell.end(1);
    shell.end(2);
    assert_eq!(shell.pool.running, [3, 4], "without a word from the session");
    assert_eq!(shell.talk.session.running.keys().count(), SLOTS);
    shell.deliver();
    shell.deliver();
    let begun: Vec<_> = shell.talk.session.running.keys().copied().collect();
    assert_eq!(begun, [id(3), id(4)]);
    assert_eq!(shell.line(), [5, 6]);
}

#[test]
fn a_slot_that_is_lent_goes_to_what_was_launched_ahead_and_is_not_given_away_again() {
    let mut shell = busy();
    for partition in [1, 2] {
        shell.event(Event::CommitWanted { id: id(partition) });
    }
    shell.event(Event::ConnectionLost("test".to_owned()));
    assert_eq!(
        shell.pool.running,
        [1, 2, 3, 4],
        "two of them have no process any more"
    );
    shell.end(1);
    shell.end(2);
    assert_eq!(shell.pool.running, [3, 4]);
    shell.finish();
    assert_eq!(shell.talk.session.free, 2);
}

#[test]
fn what_was_launched_ahead_has_not_begun_to_anybody_else() {
    let mut shell = busy();
    let effects = shell.talk.tick();
    let heartbeat = effects.iter().find_map(|effect| match effect {
        Effect::SendHeartbeat { running, waiting, .. } => Some((running.clone(), waiting.len())),
        _ => None,
    });
    assert_eq!(heartbeat, Some((vec![id(1), id(2)], 57)));
    shell.hear(GatewayMessage::Recall {
        ids: vec![id(2), id(3), id(40)],
    });
    shell.pool.returned.sort_unstable();
    assert_eq!(shell.pool.returned, [3, 40]);
    shell.hear(GatewayMessage::Cancel {
        id: id(4),
        reason: KillReason::StageEnded,
        grace: Duration::ZERO,
    });
    assert_eq!(shell.pool.finished, BTreeSet::from([0, 4]));
    assert_eq!(shell.line(), [5, 6], "others take their places");
}

#[test]
fn nothing_is_launched_ahead_where_it_might_wait_for_long() {
    let limited = StageSpec {
        body: Body::Function("f".to_owned()),
        timeout: Some(Duration::from_secs(1)),
        ..stage()
    };
    for (stage, wall, number) in [
        (stage(), BRISK * 2, 60),
        (stage(), BRISK, 10),
        (limited, BRISK, 60),
        (StageSpec { cores: 2, ..stage() }, BRISK, 60),
    ] {
        let mut talk = Talk::serving();
        let tasks = (0..number).map(task).collect();
        let stages = vec![stage];
        talk.hear(GatewayMessage::Launch { stages, tasks });
        let metrics = TaskMetrics {
            wall,
            ..TaskMetrics::default()
        };
        let end = TaskEnd::new(metrics, Ok(()));
        let next = None;
        talk.event(Event::TaskEnded { id: id(0), end, next });
        assert!(talk.session.ahead.is_empty());
    }
}

#[test]
fn an_executor_that_leaves_takes_back_what_was_launched_ahead() {
    let mut shell = busy();
    shell.hear(GatewayMessage::Shutdown {
        reason: String::new(),
        grace: Duration::from_secs(9),
    });
    shell.finish();
    assert_eq!(shell.pool.finished, BTreeSet::from([0, 1, 2, 3, 4]));
    assert_eq!(shell.pool.returned.len(), 55);
    assert!(matches!(shell.talk.session.state, State::Gone));
}

#[derive(Debug, Clone)]
enum Move {
    Order,
    End(usize),
    Deliver,
    Recall(u32),
    Cancel(u32),
    WantCommit(usize),
    Lose,
    Reconnect,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        1 => Just(Move::Order),
        6 => (0..SLOTS).prop_map(Move::End),
        6 => Just(Move::Deliver),
        1 => (0..200u32).prop_map(Move::Recall),
        1 => (0..200u32).prop_map(Move::Cancel),
        1 => (0..SLOTS).prop_map(Move::WantCommit),
        1 => Just(Move::Lose),
        1 => Just(Move::Reconnect),
    ];
    prop::collection::vec(one, 1..150)
}

proptest! {
    #[test]
    fn each_attempt_ends_once_or_is_given_back_and_no_slot_is_used_twice(moves in moves()) {
        let mut shell = Shell::serving();
        let mut ordered = 0;
        for step in moves {
            let heard = matches!(shell.talk.session.state, State::Serving { .. });
            match step {
                Move::Order | Move::Recall(_) | Move::Cancel(_) if !heard => {}
                Move::Order => {
                    shell.hear(launch_many(ordered..ordered + 40));
                    ordered += 40;
                }
                Move::End(place) => {
                    if let Some(partition) = shell.pool.running.get(place).copied() {
                        shell.end(partition);
                    }
                }
                Move::Deliver => shell.deliver(),
                Move::Recall(from) => shell.hear(GatewayMessage::Recall { ids: (from..from + 9).map(id).collect() }),
                Move::Cancel(partition) => shell.hear(GatewayMessage::Cancel {
                    id: id(partition),
                    reason: KillReason::StageEnded,
                    grace: Duration::ZERO,
                }),
                Move::WantCommit(place) => {
                    if let Some(partition) = shell.pool.running.get(place).copied() {
                        shell.event(Event::CommitWanted { id: id(partition) });
                    }
                }
                Move::Lose => shell.event(Event::ConnectionLost("test".to_owned())),
                Move::Reconnect => shell.reconnect(),
            }
            prop_assert!(shell.pool.line.places().len() <= SLOTS, "a slot is used twice");
            prop_assert!(shell.line().len() <= SLOTS);
        }
        shell.reconnect();
        shell.finish();
        prop_assert!(shell.pool.begun.is_sorted(), "{:?}", shell.pool.begun);
        prop_assert_eq!(shell.talk.session.unacknowledged.len(), shell.pool.finished.len(), "one report each");
        let mut all: Vec<_> = shell.pool.finished.into_iter().chain(shell.pool.returned).collect();
        all.sort_unstable();
        prop_assert_eq!(all, (0..ordered).collect::<Vec<_>>());
        let session = &shell.talk.session;
        prop_assert!(session.running.is_empty() && session.ahead.is_empty() && session.waiting.is_empty());
        prop_assert_eq!(session.free, 2);
    }
}
