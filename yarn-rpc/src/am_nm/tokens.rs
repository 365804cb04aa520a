//! Tokens for NodeManagers, shared between the session that receives them and the calls that need them.

use crate::records::NmToken;
use hadoop::credentials::Token;
use hadoop::ids::NodeId;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// The latest token of each node. Cheap to clone; clones share their content.
///
/// The ResourceManager sends a token once per attempt and node (and again when keys roll), so it is kept here for
/// the life of the attempt, whatever becomes of the container it came with.
#[derive(Clone, Default)]
pub struct NmTokenStore {
    tokens: Arc<Mutex<BTreeMap<NodeId, Token>>>,
}

impl NmTokenStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps a token, in the place of an older one for the same node.
    pub fn put(&self, token: NmToken) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.insert(token.node, token.token);
    }

    /// The token of a node.
    pub fn get(&self, node: &NodeId) -> Option<Token> {
        self.tokens
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(node)
            .cloned()
    }
}

impl fmt::Debug for NmTokenStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_set().entries(tokens.keys()).finish()
    }
}
