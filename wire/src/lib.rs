//! Ids, the executor protocol, typed failures and version rules.
