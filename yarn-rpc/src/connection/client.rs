//! The side that calls.

use super::frame::{self, FrameBuffer};
use super::negotiation::{Negotiation, Step};
use super::wrapping::Wrapping;
use super::{Auth, CallId, ConnectionError, Protocol, ProtocolError, request};
use crate::error::RemoteException;
use crate::proto::common::{RpcResponseHeaderProto, RpcSaslProto, rpc_response_header_proto::RpcStatusProto};
use bytes::Bytes;
use hadoop::sasl::Qop;
use std::collections::{BTreeSet, VecDeque};

/// Why a call has no response message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The method threw; the connection lives.
    #[error("{0}")]
    Remote(RemoteException),
    /// The connection ended first. The server may or may not have executed the call.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
}

/// What happened on a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientEvent {
    /// Authenticated; calls are on their way.
    Ready {
        /// The protection agreed on.
        qop: Qop,
    },
    /// A call is over: the encoded response message, or why there is none.
    Answer {
        /// Which.
        call: CallId,
        /// How it ended.
        result: Result<Vec<u8>, CallError>,
    },
    /// The connection is over; every call in flight has had its [`ClientEvent::Answer`] before this.
    Failed(ConnectionError),
}

/// The client's end of one connection. See the [module](super).
///
/// Calls may be made from the start; they are held back until authentication is complete.
pub struct ClientConnection {
    protocol: Protocol,
    client_id: [u8; 16],
    auth: Auth,
    phase: Phase,
    input: FrameBuffer,
    output: Vec<u8>,
    /// Frames of calls made before the connection was ready.
    held: Vec<u8>,
    next_call: i32,
    in_flight: BTreeSet<CallId>,
    events: VecDeque<ClientEvent>,
}

enum Phase {
    Negotiating(Negotiation),
    Open(Option<Box<Wrapping>>),
    Over(ConnectionError),
}

impl ClientConnection {
    /// A connection that speaks one protocol for one user. `client_id` should be random; servers use it to tell
    /// clients apart.
    pub fn new(protocol: Protocol, client_id: [u8; 16], auth: Auth) -> Self {
        let mut connection = Self {
            protocol,
            client_id,
            phase: Phase::Open(None),
            input: FrameBuffer::default(),
            output: Vec::new(),
            held: Vec::new(),
            next_call: 0,
            in_flight: BTreeSet::new(),
            events: VecDeque::new(),
            auth,
        };
        if connection.auth.has_token() {
            connection
                .output
                .extend(request::connection_header(request::AUTH_SASL));
            connection.output.extend(request::sasl(&Negotiation::opening()));
            connection.phase = Phase::Negotiating(Negotiation::AwaitingOffer);
        } else {
            connection
                .output
                .extend(request::connection_header(request::AUTH_NONE));
            connection.open(Qop::Auth, None);
        }
        connection
    }

    /// Makes a call with an encoded request message. On a connection that is over it fails at once.
    pub fn call(&mut self, method: &str, body: &[u8]) -> CallId {
        let id = self.unused_id();
        if let Phase::Over(error) = &self.phase {
            let result = Err(error.clone().into());
            self.events.push_back(ClientEvent::Answer { call: id, result });
            return id;
        }
        self.in_flight.insert(id);
        let frame = request::call(id, &self.client_id, self.protocol, method, body);
        self.send(&frame);
        id
    }

    /// Sends a sign of life, which is never answered. Does nothing before the connection is ready.
    pub fn ping(&mut self) {
        if self.is_ready() {
            self.send(&request::ping(&self.client_id));
        }
    }

    /// Takes in bytes as they came from the socket.
    pub fn receive(&mut self, bytes: &[u8]) {
        if matches!(self.phase, Phase::Over(_)) {
            return;
        }
        self.input.push(bytes);
        if let Err(error) = self.work_off() {
            self.fail(error);
        }
    }

    /// The socket has no more bytes.
    pub fn end_of_stream(&mut self) {
        self.fail(ConnectionError::Closed);
    }

    /// The bytes to send now; empty when there is nothing to send.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// The next thing that happened.
    pub fn next_event(&mut self) -> Option<ClientEvent> {
        self.events.pop_front()
    }

    /// How many calls await their answer.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Whether authentication is complete and the connection alive.
    pub fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Open(_))
    }

    /// Ids are never negative and start again at 0 after 2^31 calls.
    fn unused_id(&mut self) -> CallId {
        loop {
            let id = CallId(self.next_call);
            self.next_call = self.next_call.wrapping_add(1) & i32::MAX;
            if !self.in_flight.contains(&id) {
                return id;
            }
        }
    }

    fn send(&mut self, frame: &[u8]) {
        match &mut self.phase {
            Phase::Negotiating(_) => self.held.extend_from_slice(frame),
            Phase::Open(None) => self.output.extend_from_slice(frame),
            Phase::Open(Some(wrapping)) => {
                for message in wrapping.wrap(frame) {
                    self.output.extend(request::sasl(&message));
                }
            }
            Phase::Over(_) => {}
        }
    }

    /// Authentication is complete: context first, then what was held back.
    fn open(&mut self, qop: Qop, wrapping: Option<Box<Wrapping>>) {
        self.phase = Phase::Open(wrapping);
        self.events.push_back(ClientEvent::Ready { qop });
        let context = request::context(&self.client_id, self.protocol, self.auth.user());
        self.send(&context);
        let held = std::mem::take(&mut self.held);
        self.send(&held);
    }

    fn work_off(&mut self) -> Result<(), ConnectionError> {
        while let Some(frame) = self.input.next()? {
            self.outer_frame(frame)?;
        }
        Ok(())
    }

    fn outer_frame(&mut self, mut frame: Bytes) -> Result<(), ConnectionError> {
        match &mut self.phase {
            Phase::Negotiating(_) => {
                let message = sasl_message(&mut frame)?;
                self.negotiate(message)
            }
            Phase::Open(None) => self.answer(frame),
            Phase::Open(Some(wrapping)) => {
                let header: RpcResponseHeaderProto = frame::decode(&mut frame, "response header")?;
                if header.call_id as i32 != CallId::SASL.0 {
                    return Err(ProtocolError::Unprotected.into());
                }
                check_fatal(&header)?;
                wrapping.push(&frame::decode(&mut frame, "SASL message")?)?;
                self.inner_frames()
            }
            Phase::Over(_) => Ok(()),
        }
    }

    fn inner_frames(&mut self) -> Result<(), ConnectionError> {
        while let Phase::Open(Some(wrapping)) = &mut self.phase {
            let Some(frame) = wrapping.next()? else { break };
            self.answer(frame)?;
        }
        Ok(())
    }

    fn negotiate(&mut self, message: RpcSaslProto) -> Result<(), ConnectionError> {
        let Phase::Negotiating(negotiation) = &mut self.phase else {
            return Ok(());
        };
        match negotiation.handle(message, &self.auth)? {
            Step::Send(reply) => self.output.extend(request::sasl(&reply)),
            Step::Simple(reply) => {
                self.output.extend(reply.iter().flat_map(request::sasl));
                self.open(Qop::Auth, None);
            }
            Step::Done(established) => {
                self.auth.forget_user();
                self.open(
                    established.qop,
                    established.layer.map(|layer| Box::new(Wrapping::new(layer))),
                );
            }
        }
        Ok(())
    }

    fn answer(&mut self, mut frame: Bytes) -> Result<(), ConnectionError> {
        let header: RpcResponseHeaderProto = frame::decode(&mut frame, "response header")?;
        check_fatal(&header)?;
        let result = if header.status == RpcStatusProto::Success as i32 {
            let body = frame::take(&mut frame, "response message")?;
            Ok(body.to_vec())
        } else {
            Err(CallError::Remote(exception(&header)))
        };
        frame::finish(&frame, "response")?;
        let call = CallId(header.call_id as i32);
        // Answers to calls that nobody waits for are no error.
        if self.in_flight.remove(&call) {
            self.events.push_back(ClientEvent::Answer { call, result });
        }
        Ok(())
    }

    fn fail(&mut self, error: ConnectionError) {
        if matches!(self.phase, Phase::Over(_)) {
            return;
        }
        for call in std::mem::take(&mut self.in_flight) {
            let result = Err(error.clone().into());
            self.events.push_back(ClientEvent::Answer { call, result });
        }
        self.output.clear();
        self.phase = Phase::Over(error.clone());
        self.events.push_back(ClientEvent::Failed(error));
    }
}

impl std::fmt::Debug for ClientConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientConnection")
            .field("protocol", &self.protocol.name)
            .field("ready", &self.is_ready())
            .field("in_flight", &self.in_flight)
            .finish_non_exhaustive()
    }
}

fn sasl_message(frame: &mut Bytes) -> Result<RpcSaslProto, ConnectionError> {
    let header: RpcResponseHeaderProto = frame::decode(frame, "response header")?;
    check_fatal(&header)?;
    if header.status != RpcStatusProto::Success as i32 {
        return Err(ConnectionError::Refused(exception(&header)));
    }
    if header.call_id as i32 != CallId::SASL.0 {
        return Err(ProtocolError::Unexpected("answer to a call").into());
    }
    Ok(frame::decode(frame, "SASL message")?)
}

fn check_fatal(header: &RpcResponseHeaderProto) -> Result<(), ConnectionError> {
    if header.status == RpcStatusProto::Fatal as i32 {
        return Err(ConnectionError::Refused(exception(header)));
    }
    Ok(())
}

fn exception(header: &RpcResponseHeaderProto) -> RemoteException {
    RemoteException::new(header.exception_class_name(), header.error_msg())
}
