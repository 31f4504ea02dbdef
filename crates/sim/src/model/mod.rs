//! The model test: clients with different extensions share one account and do things at random; each keeps what it
//! believes from responses alone. Every answer is compared with what was foreseen by the letter of the RFCs, every
//! belief with the store. A seed that fails is made as short as it will go, and written as a script.
//!
//! Invariants:
//! - A run depends on its seed, the number of steps and what the server announces, and on nothing else.
//! - A client knows nothing but responses; what is compared with the store is compared by somebody else.

mod actions;
mod answer;
mod belief;
mod check;
mod client;
mod command;
mod conversation;
mod foresee;
mod game;
mod house;
mod notify;
mod record;
mod run;
mod search;
mod selected;
mod targets;
mod truth;

pub use game::Counts;
pub use run::{Failed, Plan, run};
