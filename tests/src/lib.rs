//! Harness and suites over real processes: a real Hadoop on loopback.
