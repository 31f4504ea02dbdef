//! Notices that certificate files changed: written in place, renamed over, or reached through a symbolic link that now
//! points elsewhere, as certbot and Kubernetes do it. A look now and then covers file systems that tell nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use columba_types::limits;
use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};
use tracing::debug;

use crate::tls::Tls;

/// Changes come in groups: certificate and key, rename after rename.
const SETTLE: Duration = Duration::from_millis(200);
/// Symbolic links followed on the way to a file.
const LINKS: usize = 32;

/// Keeps `tls` up to date for as long as it is polled.
pub(crate) async fn watch(tls: Arc<Tls>) {
    let paths = tls.paths();
    if paths.is_empty() {
        return;
    }
    let changed = Arc::new(Notify::new());
    let mut watcher = watcher(Arc::clone(&changed));
    watch_directories(watcher.as_mut(), &paths);
    // What changed between the first reading and the first watch.
    changed.notify_one();
    let mut tick = interval_at(Instant::now() + limits::CERTIFICATE_CHECK, limits::CERTIFICATE_CHECK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = changed.notified() => sleep(SETTLE).await,
            _ = tick.tick() => {}
        }
        let reloading = Arc::clone(&tls);
        _ = tokio::task::spawn_blocking(move || reloading.reload_and_log()).await;
        // Links may lead elsewhere now.
        watch_directories(watcher.as_mut(), &paths);
    }
}

fn watcher(changed: Arc<Notify>) -> Option<RecommendedWatcher> {
    let handler = move |event: notify::Result<notify::Event>| {
        // Our own reading is no change.
        let only_read = |kind: &EventKind| match kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => false,
            EventKind::Access(_) => true,
            _ => false,
        };
        if !event.is_ok_and(|event| only_read(&event.kind)) {
            changed.notify_one();
        }
    };
    notify::recommended_watcher(handler)
        .inspect_err(|error| debug!(%error, "changes of the certificate are noticed only by looking now and then"))
        .ok()
}

fn watch_directories(watcher: Option<&mut RecommendedWatcher>, paths: &[PathBuf]) {
    let Some(watcher) = watcher else { return };
    for directory in paths.iter().flat_map(|path| directories_to(path)).collect::<BTreeSet<_>>() {
        // Done again each time: a directory that was deleted and made anew is another one.
        if let Err(error) = watcher.watch(&directory, RecursiveMode::NonRecursive) {
            debug!(%error, directory = %directory.display(), "cannot be watched");
        }
    }
}

/// The directories in which a change can make `path` mean something else: that of the file itself, and those of every
/// symbolic link on the way to it.
pub fn directories_to(path: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for _ in 0..LINKS {
        // The shortest beginning of the path that is a link.
        let mut beginnings: Vec<_> = path.ancestors().collect();
        beginnings.reverse();
        let Some((link, target)) = beginnings.iter().find_map(|at| Some((*at, at.read_link().ok()?))) else { break };
        let Some(directory) = link.parent() else { break };
        found.insert(directory.to_owned());
        let rest = path.strip_prefix(link).unwrap_or(Path::new(""));
        path = match rest.as_os_str().is_empty() {
            true => directory.join(target),
            false => directory.join(target).join(rest),
        };
    }
    found.extend(path.parent().map(Path::to_owned));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn every_link_on_the_way_is_watched() {
        let base = tempfile::tempdir().unwrap();
        let at = |name: &str| base.path().canonicalize().unwrap().join(name);
        fs::create_dir_all(at("archive/1")).unwrap();
        fs::create_dir_all(at("live")).unwrap();
        fs::write(at("archive/1/cert.pem"), "x").unwrap();
        symlink("archive", at("store")).unwrap();
        symlink("../store/1/cert.pem", at("live/cert.pem")).unwrap();
        let found: Vec<_> =
            directories_to(&at("live/cert.pem")).into_iter().map(|d| d.canonicalize().unwrap()).collect();
        for expected in [at("live"), at(""), at("archive/1")] {
            assert!(found.contains(&expected.canonicalize().unwrap()), "{expected:?} in {found:?}");
        }
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn links_in_a_circle_end() {
        let base = tempfile::tempdir().unwrap();
        symlink("b", base.path().join("a")).unwrap();
        symlink("a", base.path().join("b")).unwrap();
        assert!(!directories_to(&base.path().join("a")).is_empty());
    }
}
