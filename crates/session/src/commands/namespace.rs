//! NAMESPACE (RFC 9051 §6.3.10).

use columba_types::SEPARATOR;

use crate::context::Context;
use crate::reply::{Done, Outcome};

/// One personal namespace without a prefix; others' and shared ones come with shared folders.
pub(super) fn namespace(context: &mut Context<'_, '_>) -> Outcome {
    context.printer().namespace(&[("", SEPARATOR)], &[], &[]);
    Ok(Done::new("Namespaces listed"))
}
