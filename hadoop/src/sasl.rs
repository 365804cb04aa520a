//! SASL as Hadoop RPC speaks it: negotiation and DIGEST-MD5, without sockets.
