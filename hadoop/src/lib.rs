//! Hadoop configuration, credentials files, SASL DIGEST-MD5, ids and names; no sockets.
