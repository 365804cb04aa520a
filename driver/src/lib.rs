//! The driver core: which task runs where and when, and what becomes of the job.
//!
//! It owns jobs, stages, task sets, executor liveness and the wanted number of executors. It knows neither YARN nor
//! sockets nor clocks: [`core::Driver::handle`] takes the time and an [`event::Event`] and pushes
//! [`event::Effect`]s that the shell around it carries out. The same events give the same effects, in order.
//!
//! What the outside sees: [`plan`] and [`policy`] (what is to be done, as the client staged it), [`check`] (why a
//! plan cannot run), [`event`], [`core`], [`view`] (the state for pages, API and metrics) and [`journal`] (what of the
//! state survives the process, and how it comes back).
//!
//! What is inside, each with its own state or its own transitions of [`core::Driver`]:
//!
//! - `job`, `stage`, `lifecycle`, `verdict`: how stages begin and end, and the words at the end;
//! - `task_set`, `attempts`, `outcome`: tasks of a stage, live attempts, what follows from their end;
//! - `assignment`, `pools`, `locality`, `launch`, `prefetch`: who gets a free slot, and what is sent ahead of one;
//! - `executors`, `free`, `hosts`, `liveness`: who is there, and the one way to go;
//! - `exclusion`, `places`, `suspicion`, `speculation`, `gang`, `outputs`: avoiding bad places and bad neighbours, copies
//!   of slow tasks, all or none, results that live on executors;
//! - `commit`, `gate`, `demand`: who may put results in place, when to begin, how many executors to ask for;
//! - `resume`: how it goes on in another process.

pub mod check;
pub mod commit;
pub mod core;
pub mod event;
pub mod history;
pub mod journal;
pub mod plan;
pub mod policy;
pub mod view;

mod assignment;
mod attempts;
mod demand;
mod drain;
mod exclusion;
mod executors;
mod failures;
mod forget;
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
mod prefetch;
mod resume;
mod speculation;
mod stage;
mod suspicion;
mod task_set;
mod timers;
mod verdict;
