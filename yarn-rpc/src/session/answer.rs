//! What the ResourceManager's answers mean.
//!
//! Order matters within one answer: tokens before containers, ends before grants.

use super::api::{Registration, SessionEvent};
use super::machine::{Phase, SessionEffect, SessionMachine};
use super::request::{Request, SessionCall};
use crate::error::{RemoteException, RemoteKind, RpcError};
use crate::proto::yarn as pb;
use crate::records::{Container, ContainerStatus, NmToken, NodeReport, RecordError, Resource};
use hadoop::ids::ContainerId;
use std::time::Duration;

type Effects = Vec<SessionEffect>;

impl SessionMachine {
    /// An answered heartbeat.
    pub(super) fn allocated(
        &mut self,
        now: Duration,
        response: &pb::AllocateResponseProto,
        effects: &mut Effects,
    ) {
        match response
            .a_m_command
            .and_then(|command| pb::AmCommandProto::try_from(command).ok())
        {
            Some(pb::AmCommandProto::AmResync) => return self.forgotten(now),
            Some(pb::AmCommandProto::AmShutdown) => {
                let reason = "the ResourceManager commands this attempt to shut down".to_owned();
                return self.end(SessionEvent::Superseded { reason }, effects);
            }
            None => {}
        }
        self.response_id = response.response_id();
        if let Some(token) = &response.am_rm_token {
            effects.push(SessionEffect::UseToken(token.into()));
        }
        response
            .nm_tokens
            .iter()
            .for_each(|token| store_token(token, effects));
        self.recovered(response, effects);
        let ended = self.completed(response, effects);
        let granted = self.granted(response, effects);
        self.nodes(response, effects);
        preemption(response, effects);
        self.headroom(response, effects);
        if !self.asks.has_dirty() {
            self.ask_limit = usize::MAX;
        }
        self.pace(now, ended || granted);
    }

    fn recovered(&mut self, response: &pb::AllocateResponseProto, effects: &mut Effects) {
        let mut found = containers(&response.containers_from_previous_attempts, effects);
        found.retain(|container| self.book.found(container.id));
        emit_some(found, SessionEvent::Recovered, effects);
    }

    fn completed(&mut self, response: &pb::AllocateResponseProto, effects: &mut Effects) -> bool {
        let mut ended: Vec<ContainerStatus> = read(&response.completed_container_statuses, effects);
        ended.retain(|status| self.book.ended(status.id));
        emit_some(ended, SessionEvent::Completed, effects)
    }

    fn granted(&mut self, response: &pb::AllocateResponseProto, effects: &mut Effects) -> bool {
        let mut containers = containers(&response.allocated_containers, effects);
        containers.retain(|container| self.book.is_new(&container.id));
        if containers.is_empty() {
            return false;
        }
        self.asks.advance();
        for container in &containers {
            let satisfied = self.asks.granted(container);
            self.book.granted(container.id, satisfied);
        }
        let seq = self.asks.seq();
        effects.push(SessionEffect::Emit(SessionEvent::Allocated { containers, seq }));
        true
    }

    fn nodes(&mut self, response: &pb::AllocateResponseProto, effects: &mut Effects) {
        let nodes: Vec<NodeReport> = read(&response.updated_nodes, effects);
        for node in &nodes {
            if let Some(rack) = &node.rack {
                self.asks.learn_rack(node.id.clone(), rack.clone());
            }
        }
        emit_some(nodes, SessionEvent::NodesUpdated, effects);
    }

    fn headroom(&mut self, response: &pb::AllocateResponseProto, effects: &mut Effects) {
        let Some(limit) = &response.limit else { return };
        let nodes = u32::try_from(response.num_cluster_nodes()).unwrap_or(0);
        let now = (Resource::from(limit), nodes);
        if self.headroom.as_ref() != Some(&now) {
            let event = SessionEvent::Headroom {
                available: now.0.clone(),
                cluster_nodes: nodes,
            };
            effects.push(SessionEffect::Emit(event));
            self.headroom = Some(now);
        }
    }

    /// An answered `finishApplicationMaster`.
    pub(super) fn finished(
        &mut self,
        now: Duration,
        response: &pb::FinishApplicationMasterResponseProto,
        effects: &mut Effects,
    ) {
        if response.is_unregistered() {
            return self.end(SessionEvent::Unregistered, effects);
        }
        self.finish_attempted = true;
        self.finish_later(now);
    }

    /// A call without an answer.
    pub(super) fn failed(
        &mut self,
        now: Duration,
        request: Request,
        error: &RpcError,
        effects: &mut Effects,
    ) {
        let Some(exception) = error.exception() else {
            let maybe_executed = !matches!(error, RpcError::Connect { .. } | RpcError::NoAddress(_));
            self.finish_attempted |= maybe_executed && matches!(request.call, SessionCall::Finish(_));
            return self.try_again(now, request, error, effects);
        };
        if matches!(error, RpcError::Remote(_)) {
            self.contact(effects);
        }
        if self.is_done(&request, exception) {
            return self.end(SessionEvent::Unregistered, effects);
        }
        match exception.kind {
            RemoteKind::ApplicationMasterNotRegistered => {
                // What the request carried counts as lost with everything else.
                self.put_back(request.carried);
                self.forgotten(now);
            }
            RemoteKind::ApplicationAttemptNotFound | RemoteKind::InvalidToken => {
                self.superseded(exception, effects);
            }
            RemoteKind::InvalidApplicationMasterRequest => {
                self.unfit(now, request, exception, error, effects);
            }
            RemoteKind::InvalidResourceRequest => self.bad_ask(now, request, exception, effects),
            RemoteKind::InvalidBlacklistRequest => self.bad_blacklist(now, request, exception, effects),
            RemoteKind::InvalidContainerRelease => self.bad_release(now, request, exception, effects),
            _ => self.try_again(now, request, error, effects),
        }
    }

    fn superseded(&mut self, exception: &RemoteException, effects: &mut Effects) {
        self.end(
            SessionEvent::Superseded {
                reason: exception.to_string(),
            },
            effects,
        );
    }

    /// Whether an earlier `finishApplicationMaster`, whose answer was lost or "not yet", has succeeded meanwhile.
    fn is_done(&self, request: &Request, exception: &RemoteException) -> bool {
        let gone = match exception.kind {
            RemoteKind::ApplicationAttemptNotFound | RemoteKind::InvalidToken | RemoteKind::NullPointer => {
                true
            }
            RemoteKind::InvalidApplicationMasterRequest => is_not_in_cache(exception),
            _ => false,
        };
        gone && self.finish_attempted && !matches!(request.call, SessionCall::Allocate(_))
    }

    /// The same request again, after a pause.
    ///
    /// A heartbeat must be repeated as it was: if the lost one had arrived, the ResourceManager answers from memory
    /// and does not look at the request.
    fn try_again(&mut self, now: Duration, request: Request, error: &RpcError, effects: &mut Effects) {
        let event = SessionEvent::CallFailed {
            method: request.call.method(),
            message: error.chain(),
        };
        effects.push(SessionEffect::Emit(event));
        self.back_off(now);
        let obsolete = self.phase == Phase::Finishing && matches!(request.call, SessionCall::Allocate(_));
        if obsolete {
            self.at_once(now);
        } else {
            self.request = Some(request);
        }
    }

    /// The request does not fit what the ResourceManager thinks of the attempt.
    fn unfit(
        &mut self,
        now: Duration,
        request: Request,
        exception: &RemoteException,
        error: &RpcError,
        effects: &mut Effects,
    ) {
        if is_not_in_cache(exception) {
            return self.superseded(exception, effects);
        }
        match (&request.call, expected_response_id(&exception.message)) {
            // The answer to an earlier register was lost, and with it what it said.
            (SessionCall::Register(_), _) if exception.message.contains("already registered") => {
                self.registered(now, Registration::default(), effects);
            }
            (SessionCall::Allocate(_), Some(expected)) => {
                self.response_id = expected;
                self.put_back(request.carried);
                self.complain(&request.call, exception, effects);
                self.back_off(now);
            }
            _ => self.try_again(now, request, error, effects),
        }
    }

    fn complain(&self, call: &SessionCall, exception: &RemoteException, effects: &mut Effects) {
        let event = SessionEvent::CallFailed {
            method: call.method(),
            message: exception.to_string(),
        };
        effects.push(SessionEffect::Emit(event));
    }

    /// One of the asks is refused, and with it the whole request. If it carried several, they go one by one until
    /// the bad one is alone.
    fn bad_ask(
        &mut self,
        now: Duration,
        mut request: Request,
        exception: &RemoteException,
        effects: &mut Effects,
    ) {
        if request.carried.asks.len() == 1
            && let Some(ask) = request.carried.asks.pop()
        {
            self.asks.forget(&ask.key);
            let event = SessionEvent::AskRefused {
                key: ask.key,
                message: exception.message.clone(),
            };
            effects.push(SessionEffect::Emit(event));
        } else {
            self.ask_limit = 1;
        }
        self.put_back(request.carried);
        self.at_once(now);
    }

    fn bad_blacklist(
        &mut self,
        now: Duration,
        mut request: Request,
        exception: &RemoteException,
        effects: &mut Effects,
    ) {
        let names = request
            .carried
            .blacklist
            .take()
            .map(|changes| changes.blacklist_additions)
            .unwrap_or_default();
        self.blacklist.forget(&names);
        let event = SessionEvent::BlacklistRefused {
            names,
            message: exception.message.clone(),
        };
        effects.push(SessionEffect::Emit(event));
        self.put_back(request.carried);
        self.back_off(now);
    }

    fn bad_release(
        &mut self,
        now: Duration,
        mut request: Request,
        exception: &RemoteException,
        effects: &mut Effects,
    ) {
        let containers = std::mem::take(&mut request.carried.releases);
        self.book.forget_releases(&containers);
        let event = SessionEvent::ReleaseRefused {
            containers,
            message: exception.message.clone(),
        };
        effects.push(SessionEffect::Emit(event));
        self.put_back(request.carried);
        self.back_off(now);
    }
}

/// `Application doesn't exist in cache`: the attempt is over.
fn is_not_in_cache(exception: &RemoteException) -> bool {
    exception.message.contains("doesn't exist in cache")
}

/// Reads `… expect responseId to be 3 but get 4`.
fn expected_response_id(message: &str) -> Option<i32> {
    let (_, rest) = message.split_once("expect responseId to be ")?;
    rest.split_whitespace().next()?.parse().ok()
}

fn preemption(response: &pb::AllocateResponseProto, effects: &mut Effects) {
    let Some(message) = &response.preempt else { return };
    let ids = |list: &[pb::PreemptionContainerProto]| -> Vec<ContainerId> {
        list.iter()
            .filter_map(|entry| entry.id.as_ref()?.try_into().ok())
            .collect()
    };
    let strict = message
        .strict_contract
        .as_ref()
        .map(|contract| ids(&contract.container))
        .unwrap_or_default();
    let negotiable = message
        .contract
        .as_ref()
        .map(|contract| ids(&contract.container))
        .unwrap_or_default();
    if !(strict.is_empty() && negotiable.is_empty()) {
        effects.push(SessionEffect::Emit(SessionEvent::Preemption {
            strict,
            negotiable,
        }));
    }
}

/// Hands on a token for a NodeManager.
pub(super) fn store_token(token: &pb::NmTokenProto, effects: &mut Effects) {
    for token in read::<_, NmToken>(std::slice::from_ref(token), effects) {
        effects.push(SessionEffect::StoreNmToken(token));
    }
}

pub(super) fn containers(list: &[pb::ContainerProto], effects: &mut Effects) -> Vec<Container> {
    read(list, effects)
}

/// Reads a list; elements that cannot be read are reported and left out.
fn read<'a, P, T>(list: &'a [P], effects: &mut Effects) -> Vec<T>
where
    T: TryFrom<&'a P, Error = RecordError>,
{
    let mut values = Vec::with_capacity(list.len());
    for element in list {
        match T::try_from(element) {
            Ok(value) => values.push(value),
            Err(error) => {
                let event = SessionEvent::CallFailed {
                    method: "allocate",
                    message: error.to_string(),
                };
                effects.push(SessionEffect::Emit(event));
            }
        }
    }
    values
}

/// Tells the owner unless there is nothing to tell.
fn emit_some<T>(list: Vec<T>, event: fn(Vec<T>) -> SessionEvent, effects: &mut Effects) -> bool {
    let some = !list.is_empty();
    if some {
        effects.push(SessionEffect::Emit(event(list)));
    }
    some
}
