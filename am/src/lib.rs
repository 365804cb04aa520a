//! The ApplicationMaster process: launcher core, executor gateway, web pages and wiring.
