//! The naive model of an account against the memory engine.
#![allow(clippy::unwrap_used)]

mod naive;
mod support;

use proptest::prelude::*;
use support::World;

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 2, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_store_does_what_a_naive_model_does(ops in naive::ops()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async { naive::play(World::new().await, ops).await });
    }
}
