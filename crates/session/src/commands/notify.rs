//! NOTIFY (RFC 5465 §3.1).

use columba_wire::NotifySet;

use crate::context::Context;
use crate::news::tell_all_statuses;
use crate::notify::Notify;
use crate::reply::{Done, Outcome};

/// Replaces what was asked for before, unless it is refused. What was accumulated in the selected mailbox is told by the
/// sync that follows (RFC 5465 §3.1: an implied NOOP).
pub(super) async fn notify(context: &mut Context<'_, '_>, set: Option<NotifySet>) -> Outcome {
    let enabled = context.state.enabled;
    let form = enabled.name_form();
    let login = context.login()?;
    let Some(set) = set else {
        login.notify = Some(Box::default());
        return Ok(Done::new("You are told of nothing unasked"));
    };
    let mut notify = Notify::new(&set, form)?;
    if !login.listens_to_metadata(enabled) {
        login.metadata_told = login.mail.last_metadata_change();
    }
    if notify.follows() {
        // Where the one before stands: what happened meanwhile is told as is asked for now.
        let before = login.notify.take().and_then(|notify| notify.follower);
        notify.follower = Some(before.unwrap_or_else(|| login.mail.follow()));
    }
    login.notify = Some(Box::new(notify));
    if set.status {
        tell_all_statuses(context).await?;
    }
    Ok(Done::new("You are told of changes from now on"))
}
