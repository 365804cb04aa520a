//! What the session sends.

use super::api::{Ask, FinalStatus};
use super::machine::{Phase, SessionMachine};
use crate::proto::yarn as pb;
use hadoop::ids::ContainerId;

/// A call of ApplicationMasterProtocol.
#[derive(Debug, Clone, PartialEq)]
pub enum SessionCall {
    /// `registerApplicationMaster`.
    Register(pb::RegisterApplicationMasterRequestProto),
    /// `allocate`.
    Allocate(Box<pb::AllocateRequestProto>),
    /// `finishApplicationMaster`.
    Finish(pb::FinishApplicationMasterRequestProto),
}

impl SessionCall {
    /// The name of the method.
    pub fn method(&self) -> &'static str {
        match self {
            Self::Register(_) => "registerApplicationMaster",
            Self::Allocate(_) => "allocate",
            Self::Finish(_) => "finishApplicationMaster",
        }
    }
}

/// What has to be sent again if the call that carried it turns out to have had no effect.
#[derive(Debug, Default)]
pub(super) struct Carried {
    pub(super) asks: Vec<Ask>,
    pub(super) releases: Vec<ContainerId>,
    pub(super) blacklist: Option<pb::ResourceBlacklistRequestProto>,
    pub(super) tracking_url: Option<String>,
}

/// A call, made or to be repeated.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) call: SessionCall,
    pub(super) carried: Carried,
}

impl SessionMachine {
    /// The next call, from everything that is to be told.
    pub(super) fn compose(&mut self) -> Request {
        match self.phase {
            Phase::Registering { .. } => Request::of(self.register()),
            Phase::Finishing | Phase::Over => Request::of(self.finish()),
            Phase::Active => self.heartbeat(),
        }
    }

    fn register(&mut self) -> SessionCall {
        self.new_tracking_url = None;
        SessionCall::Register(pb::RegisterApplicationMasterRequestProto {
            host: Some(self.identity.host.clone()),
            rpc_port: Some(self.identity.rpc_port.map_or(-1, i32::from)),
            tracking_url: self.identity.tracking_url.clone(),
        })
    }

    fn finish(&self) -> SessionCall {
        let verdict = self.verdict.as_ref();
        let status = match verdict.map(|verdict| verdict.status) {
            Some(FinalStatus::Succeeded) => pb::FinalApplicationStatusProto::AppSucceeded,
            Some(FinalStatus::Killed) => pb::FinalApplicationStatusProto::AppKilled,
            Some(FinalStatus::Failed) | None => pb::FinalApplicationStatusProto::AppFailed,
        };
        SessionCall::Finish(pb::FinishApplicationMasterRequestProto {
            diagnostics: verdict.map(|verdict| verdict.diagnostics.clone()),
            tracking_url: verdict.and_then(|verdict| verdict.tracking_url.clone()),
            final_application_status: Some(status as i32),
        })
    }

    fn heartbeat(&mut self) -> Request {
        let carried = Carried {
            asks: self.asks.take_dirty(self.ask_limit),
            releases: self.book.take_releases(),
            blacklist: self.blacklist.take(),
            tracking_url: self.new_tracking_url.take(),
        };
        let call = SessionCall::Allocate(Box::new(pb::AllocateRequestProto {
            ask: carried.asks.iter().map(Into::into).collect(),
            release: carried.releases.iter().map(|id| (*id).into()).collect(),
            blacklist_request: carried.blacklist.clone(),
            response_id: Some(self.response_id),
            progress: Some(self.progress),
            update_requests: Vec::new(),
            tracking_url: carried.tracking_url.clone(),
        }));
        Request { call, carried }
    }

    /// The call had no effect: what it carried is to be sent again.
    pub(super) fn put_back(&mut self, carried: Carried) {
        self.asks.put_back(carried.asks);
        self.book.put_back_releases(&carried.releases);
        if let Some(blacklist) = carried.blacklist {
            self.blacklist.put_back(blacklist);
        }
        if self.new_tracking_url.is_none() {
            self.new_tracking_url = carried.tracking_url;
        }
    }
}

impl Request {
    fn of(call: SessionCall) -> Self {
        Self {
            call,
            carried: Carried::default(),
        }
    }
}
