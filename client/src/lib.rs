//! The drawloom command: planning, submission and monitoring of jobs on YARN.
