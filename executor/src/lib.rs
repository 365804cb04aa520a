//! The executor process: session with the AM, task slots, child processes, logs and outputs.
