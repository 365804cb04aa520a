//! The driver core: which task runs where and when, and what becomes of the job.
//!
//! It owns jobs, stages, task sets, executor liveness and the wanted number of executors. It knows neither YARN nor
//! sockets nor clocks: [`core::Driver::handle`] takes the time and an [`event::Event`] and pushes
//! [`event::Effect`]s that the shell around it carries out. The same events give the same effects, in order.

pub mod check;
pub mod commit;
pub mod core;
pub mod event;
pub mod plan;
pub mod policy;
pub mod view;

mod assignment;
mod attempts;
mod demand;
mod exclusion;
mod executors;
mod failures;
mod free;
mod gang;
mod gate;
mod hosts;
mod index;
mod inputs;
mod job;
mod launch;
mod lifecycle;
mod liveness;
mod locality;
mod outcome;
mod outputs;
mod places;
mod pools;
mod speculation;
mod stage;
mod task_set;
mod timers;
mod verdict;
