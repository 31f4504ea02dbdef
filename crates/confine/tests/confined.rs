//! Processes that confine themselves and then try what they may no longer do, and what they still must. Each is this very
//! program, started again with the name of a scene.

#![allow(clippy::unwrap_used)]

use std::fmt::Debug;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use columba_confine::{ConfineError, Fence, Places, User};
use rustix::io::Errno;

/// What a scene begins with.
struct Stage {
    base: PathBuf,
    listener: TcpListener,
    /// Somewhere to connect to, outside.
    other: std::net::SocketAddr,
}

type Scene = (&'static str, fn(&Stage));

const SCENES: &[Scene] = &[
    ("confined", confined),
    ("confined_as_another_user", as_another_user),
    ("confined_and_connecting", connecting),
    ("refused_with_threads", with_threads),
    ("refused_without_a_place", without_a_place),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [scene, base, other] = arguments.as_slice()
        && let Some((_, play)) = SCENES.iter().find(|(name, _)| name == scene)
    {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        play(&Stage { base: base.into(), listener, other: other.parse().unwrap() });
        return ExitCode::SUCCESS;
    }
    if arguments.iter().any(|argument| argument == "--list") {
        SCENES.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let filters: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let chosen: Vec<&str> = SCENES
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str())))
        .collect();
    let failed = chosen.iter().filter(|name| !plays(name)).count();
    let (word, passed) = (if failed == 0 { "ok" } else { "FAILED" }, chosen.len() - failed);
    println!("test result: {word}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Starts the scene as a process of its own, in a directory that everybody may walk through.
fn plays(name: &str) -> bool {
    let base = tempfile::tempdir().unwrap();
    let open = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    open(base.path(), 0o755);
    for directory in ["data", "certificates", "outside"] {
        fs::create_dir(base.path().join(directory)).unwrap();
        open(&base.path().join(directory), 0o777);
        fs::write(base.path().join(directory).join("file"), directory).unwrap();
    }
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    let arguments = [name, base.path().to_str().unwrap(), &address];
    let ended = Command::new(std::env::current_exe().unwrap()).args(arguments).output().unwrap();
    let ok = ended.status.success();
    println!("test {name} ... {}", if ok { "ok" } else { "FAILED" });
    if !ok {
        println!("{}\n{}", String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    }
    ok
}

fn places(stage: &Stage) -> Places {
    Places {
        write: vec![stage.base.join("data")],
        read: vec![stage.base.join("certificates"), stage.base.join("not-there")],
        ..Places::default()
    }
}

fn denied<T: Debug>(what: &str, tried: io::Result<T>) {
    match tried {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
        outcome => panic!("{what}: {outcome:?}, and should have been denied"),
    }
}

fn denied_errno<T: Debug>(what: &str, tried: Result<T, Errno>) {
    assert!(matches!(tried, Err(Errno::PERM | Errno::ACCESS)), "{what}: {tried:?}");
}

fn confined(stage: &Stage) {
    let report = Fence::around(&places(stage)).unwrap().close().unwrap();
    println!("{report}");
    nothing_is_left(stage, report.landlock.is_some());
    denied("connecting", TcpStream::connect(stage.other));
    serving_goes_on(stage);
    // What was taken from the process is taken from its threads, too.
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            nothing_is_left(stage, report.landlock.is_some());
            serving_goes_on(stage);
        });
        thread.join().unwrap();
    });
}

fn as_another_user(stage: &Stage) {
    if !User::may_change() {
        return println!("not root: there is no other user to become");
    }
    let nobody = User::named("nobody").unwrap().unwrap();
    let fence = Fence::around(&places(stage)).unwrap();
    nobody.become_for_good().unwrap();
    let report = fence.close().unwrap();
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(field("Uid:"), vec![nobody.uid.to_string(); 4]);
    assert_eq!(field("Gid:"), vec![nobody.gid.to_string(); 4]);
    assert_eq!(field("Groups:"), Vec::<String>::new());
    assert_eq!(field("CapBnd:"), ["0000000000000000"]);
    nothing_is_left(stage, report.landlock.is_some());
    serving_goes_on(stage);
}

fn connecting(stage: &Stage) {
    let report = Fence::around(&Places { connect: true, ..places(stage) }).unwrap().close().unwrap();
    TcpStream::connect(stage.other).unwrap();
    nothing_is_left(stage, report.landlock.is_some());
}

fn nothing_is_left(stage: &Stage, landlock: bool) {
    let outside = stage.base.join("outside");
    if landlock {
        denied("reading /etc/shadow", fs::read("/etc/shadow"));
        denied("reading outside", fs::read(outside.join("file")));
        denied("reading by another way", fs::read(stage.base.join("data/../outside/file")));
        denied("reading through /proc", fs::read(format!("/proc/self/root{}/file", outside.display())));
        denied("listing outside", fs::read_dir(&outside));
        denied("writing outside", fs::write(outside.join("new"), "x"));
        denied("writing what is read only", fs::write(stage.base.join("certificates/file"), "x"));
        denied("removing outside", fs::remove_file(outside.join("file")));
        let moved = fs::rename(stage.base.join("data/file"), outside.join("moved"));
        assert!(moved.is_err(), "a file was moved outside");
    }
    denied("running a program", Command::new("/bin/true").status());
    denied("running itself", Command::new("/proc/self/exe").status());
    denied("listening", TcpListener::bind("127.0.0.1:0"));
    denied("listening on a Unix socket", UnixListener::bind(stage.base.join("data/socket")));
    denied("a datagram socket", UdpSocket::bind("127.0.0.1:0"));
    let parent = rustix::process::getppid().unwrap();
    denied_errno("signalling another process", rustix::process::test_kill_process(parent));
    denied_errno("becoming root again", rustix::thread::set_thread_uid(rustix::process::Uid::ROOT));
    denied_errno("another root directory", rustix::process::chroot(stage.base.join("data")));
    let status = fs::read_to_string("/proc/thread-self/status").or_else(|_| fs::read_to_string("/proc/self/status"));
    let status = status.unwrap();
    for line in ["NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t0000000000000000", "CapPrm:\t0000000000000000"] {
        assert!(status.contains(line), "{line} is missing in\n{status}");
    }
}

/// What a server does all day.
fn serving_goes_on(stage: &Stage) {
    let data = stage.base.join("data");
    fs::create_dir_all(data.join("a/b")).unwrap();
    let mut file = fs::File::create(data.join("a/b/new")).unwrap();
    file.write_all(b"octets").unwrap();
    file.sync_all().unwrap();
    fs::rename(data.join("a/b/new"), data.join("a/renamed")).unwrap();
    assert_eq!(fs::read(data.join("a/renamed")).unwrap(), b"octets");
    assert_eq!(fs::read_dir(&data).unwrap().count(), 2);
    fs::remove_file(data.join("a/renamed")).unwrap();
    fs::remove_dir_all(data.join("a")).unwrap();
    assert_eq!(fs::read(stage.base.join("certificates/file")).unwrap(), b"certificates");
    UnixDatagram::unbound().unwrap();
    stage.listener.set_nonblocking(true).unwrap();
    assert_eq!(stage.listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    let mut random = [0; 8];
    fs::File::open("/dev/urandom").unwrap().read_exact(&mut random).unwrap();
    fs::write("/dev/null", "x").unwrap();
}

fn with_threads(stage: &Stage) {
    let (say, hear) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || hear.recv());
    let refused = Fence::around(&places(stage)).unwrap().close();
    assert!(matches!(refused, Err(ConfineError::Threads(2))), "{refused:?}");
    // Nothing was given up on the way.
    fs::read(stage.base.join("outside/file")).unwrap();
    drop(say);
    thread.join().unwrap().unwrap_err();
}

fn without_a_place(stage: &Stage) {
    let places = Places { write: vec![stage.base.join("not-there")], ..Places::default() };
    let error = Fence::around(&places).unwrap_err();
    assert!(error.to_string().ends_with("not-there cannot be opened: there is nothing of that name"), "{error}");
}
