//! Hadoop RPC v9 and the YARN protocols client-RM, AM-RM and AM-NM, without a JVM.
