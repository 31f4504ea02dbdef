//! The runtime on which a command does its work. A server has none until it has given up its privileges: threads keep what
//! they began with.

use crate::failure::Failure;

/// Runs the work to its end.
///
/// # Errors
/// Its own; or no threads can be started.
pub(crate) fn in_runtime<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(format!("no threads can be started: {error}")))?;
    runtime.block_on(work)
}
