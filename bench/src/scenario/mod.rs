//! What is measured: a scenario does one thing with a server, in variants, and leaves a row for each. Each checks that answers
//! are complete. One file for a group of them, named by what is done.

mod append;
mod ceiling;
mod change;
mod fetch;
mod growth;
mod idle;
mod lmtp;
mod login;
mod mixed;
mod resync;
mod search;
mod select;

use std::pin::Pin;

use crate::Failure;
use crate::stage::Stage;

pub(crate) type Running<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + 'a>>;

/// One of them.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// One line for people.
    pub(crate) about: &'static str,
    /// Does all variants.
    pub(crate) run: for<'a, 'b> fn(&'a mut Stage<'b>) -> Running<'a>,
}

/// All of them, in the order in which they are run: what only reads comes first.
pub(crate) fn all() -> impl Iterator<Item = &'static Scenario> {
    let groups = [
        ceiling::SCENARIOS,
        fetch::SCENARIOS,
        select::SCENARIOS,
        search::SCENARIOS,
        resync::SCENARIOS,
        login::SCENARIOS,
        append::SCENARIOS,
        lmtp::SCENARIOS,
        change::SCENARIOS,
        mixed::SCENARIOS,
        growth::SCENARIOS,
        idle::SCENARIOS,
    ];
    groups.into_iter().flatten()
}
