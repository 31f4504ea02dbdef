//! A server that has given up what serving does not need, seen from outside; and sockets that somebody else bound for it.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

use super::harness::{Home, Imap, Server};

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn open_to_all(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A certificate and its key, renamed into place as certbot and others do it.
fn renew(home: &Home) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    home.write(&[
        ("tls/new-c", made.cert.pem().as_bytes()),
        ("tls/new-k", made.signing_key.serialize_pem().as_bytes()),
    ]);
    fs::rename(home.path("tls/new-k"), home.path("tls/key.pem")).unwrap();
    fs::rename(home.path("tls/new-c"), home.path("tls/certificate.pem")).unwrap();
}

fn configured(home: &Home, process: &str) -> Command {
    let config = format!(
        "data = \"data\"\n[auth]\nplaintext_networks = [\"127.0.0.0/8\"]\n[process]\n{process}\n\
         [tls]\ncertificate = \"tls/certificate.pem\"\nkey = \"tls/key.pem\"\n\
         [[listener]]\nprotocol = \"imap\"\naddress = \"127.0.0.1:0\"\ntls = \"starttls\"\n"
    );
    renew(home);
    home.write(&[("columba.toml", config.as_bytes())]);
    home.command(&["serve", "--config", "columba.toml"])
}

/// What `/proc` says of each thread.
fn statuses(pid: u32) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let read = |task: std::io::Result<fs::DirEntry>| fs::read_to_string(task.unwrap().path().join("status")).ok();
    tasks.filter_map(read).collect()
}

fn field(status: &str, name: &str) -> Vec<String> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn every_thread_of_a_server_is_confined() {
    let home = Home::new();
    let server = Server::start(configured(&home, ""));
    let statuses = statuses(server.child.id());
    assert!(statuses.len() > 2, "the runtime has no threads");
    for status in statuses {
        for (name, value) in [("NoNewPrivs:", "1"), ("Seccomp:", "2"), ("CapEff:", "0000000000000000")] {
            assert_eq!(field(&status, name), [value], "{status}");
        }
    }
    let (_, log) = server.stop();
    assert!(log.contains("confined"), "{log}");
}

#[test]
fn root_is_given_up_for_good_and_everything_goes_on() {
    if !is_root() {
        return;
    }
    let home = Home::new();
    open_to_all(home.dir.path());
    let command = |home: &Home| {
        let command = configured(home, "user = \"nobody\"");
        let nobody = fs::read_to_string("/etc/passwd").unwrap();
        let nobody = nobody.lines().find(|line| line.starts_with("nobody:")).unwrap();
        let uid: u32 = nobody.split(':').nth(2).unwrap().parse().unwrap();
        std::os::unix::fs::chown(home.path("tls/key.pem"), Some(uid), None).unwrap();
        (command, uid)
    };
    let (serve, uid) = command(&home);
    let mut server = Server::start(serve);
    for status in statuses(server.child.id()) {
        assert_eq!(field(&status, "Uid:"), vec![uid.to_string(); 4]);
        assert_eq!(field(&status, "Groups:"), Vec::<String>::new());
        for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
            assert_eq!(field(&status, set), ["0000000000000000"], "{set}");
        }
    }
    home.add_account("ann", "secret");
    let mut imap = server.imap();
    assert!(imap.command("LOGIN ann secret").contains("a OK"));
    assert!(imap.command("APPEND INBOX {3+}\r\na\r\n").contains("a OK"));
    // A new certificate is taken over.
    renew(&home);
    let mut log = BufReader::new(server.child.stderr.take().unwrap()).lines();
    assert!(log.any(|line| line.unwrap().contains("new certificate in use")));
    server.signal(rustix::process::Signal::TERM);
    assert_eq!(server.child.wait().unwrap().code(), Some(0));

    // What root does meanwhile is the server's, too.
    home.run_with_input(&["account", "add", "bob", "--password-stdin", "--config", "columba.toml"], "secret\n").ok();
    for file in ["data", "data/LOCK", "data/shards/global.sqlite"] {
        assert_eq!(fs::metadata(home.path(file)).unwrap().uid(), uid, "{file}");
    }
    let server = Server::start(command(&home).0);
    assert!(server.imap().command("LOGIN bob secret").contains("a OK"));
    home.run(&["verify"]).ok();
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn whoever_owns_the_data_is_whom_the_server_runs_as() {
    if !is_root() {
        return;
    }
    let home = Home::new();
    open_to_all(home.dir.path());
    fs::create_dir(home.data()).unwrap();
    std::os::unix::fs::chown(home.data(), Some(54_321), Some(54_321)).unwrap();
    let server = Server::quickstart(&home, &["--account", "ann"]);
    assert_eq!(field(&statuses(server.child.id())[0], "Uid:")[0], "54321");
    assert_eq!(home.json(&["mailbox", "show", "ann", "INBOX"])["messages"], 1);
}

#[test]
fn confinement_can_be_switched_off() {
    let home = Home::new();
    let server = Server::start(configured(&home, "confine = \"off\""));
    assert_eq!(field(&statuses(server.child.id())[0], "Seccomp:"), ["0"]);
    let (_, log) = server.stop();
    assert!(log.contains("the process is not confined"), "{log}");
}

#[test]
fn a_user_that_is_not_there_is_a_mistake() {
    if !is_root() {
        return;
    }
    let home = Home::new();
    let ran = |mut command: Command| super::harness::Ran::new(&["serve"], command.output().unwrap());
    let wanted = ["there is no user no-such-user", "useradd --system"];
    ran(configured(&home, "user = \"no-such-user\"")).failed(1, &wanted);
    assert!(!home.data().exists());
    let wanted = ["would run as root", "name a user"];
    ran(configured(&home, "user = \"root\"\nconfine = \"required\"")).failed(1, &wanted);
}

/// A shell that gives its standard input to the server as the one socket systemd would hand over.
fn handing(home: &Home, name: &str, socket: TcpListener) -> Command {
    let serve = configured(home, "");
    let script = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=$1; shift; \
                  export LISTEN_PID LISTEN_FDS LISTEN_FDNAMES; exec \"$@\"";
    let mut command = Command::new("/bin/sh");
    command.current_dir(home.dir.path()).args(["-c", script, "sh", name]).arg(serve.get_program());
    command.args(serve.get_args()).stdin(Stdio::from(OwnedFd::from(socket)));
    command
}

#[test]
fn a_socket_that_is_handed_over_is_served() {
    let home = Home::new();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let server = Server::start(handing(&home, "imap", socket));
    assert_eq!(server.ready["listeners"][0]["address"], address);
    assert_eq!(server.ready["listeners"].as_array().unwrap().len(), 1, "{}", server.ready);
    assert!(Imap::connect(&address).command("CAPABILITY").contains("STARTTLS"));
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn a_socket_for_no_known_purpose_is_a_mistake() {
    let home = Home::new();
    let mut command = handing(&home, "pop3", TcpListener::bind("127.0.0.1:0").unwrap());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(said.contains("a socket called \"pop3\"") && said.contains("FileDescriptorName="), "{said}");
}
