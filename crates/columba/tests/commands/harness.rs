//! Runs the binary on a temporary data directory, and servers that end with the test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

/// A place for one test, with a data directory in it.
pub(crate) struct Home {
    pub(crate) dir: tempfile::TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// A command with nothing but what the test gives it.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_columba"));
        command.args(args).current_dir(self.dir.path()).stdin(Stdio::null());
        for key in ["COLUMBA_LOG", "COLUMBA_CONFIG", "NOTIFY_SOCKET"] {
            command.env_remove(key);
        }
        command
    }

    /// Runs a command on the data directory.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        self.run_with_input(args, "")
    }

    /// The same with something on standard input.
    pub(crate) fn run_with_input(&self, args: &[&str], input: &str) -> Ran {
        let data = self.data();
        let mut command = self.command(args);
        command.args(["--data", data.to_str().unwrap()]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        Ran::new(args, child.wait_with_output().unwrap())
    }

    /// Runs a command that has to work, and reads its JSON.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let mut all = args.to_vec();
        all.push("--json");
        self.run(&all).ok().json()
    }

    pub(crate) fn add_account(&self, name: &str, password: &str) {
        self.run_with_input(&["account", "add", name, "--password-stdin"], &format!("{password}\n")).ok();
    }

    /// Writes files below this place.
    pub(crate) fn write(&self, files: &[(&str, &[u8])]) {
        for (name, content) in files {
            let path = self.path(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
    }
}

/// What a command did.
pub(crate) struct Ran {
    what: String,
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn new(args: &[&str], output: Output) -> Self {
        Self {
            what: args.join(" "),
            status: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.status, Some(0), "{}\n{}{}", self.what, self.stdout, self.stderr);
        self
    }

    /// It failed with that status, and said all of that on standard error.
    pub(crate) fn failed(self, status: i32, said: &[&str]) -> Self {
        assert_eq!(self.status, Some(status), "{}\n{}{}", self.what, self.stdout, self.stderr);
        for text in said {
            assert!(self.stderr.contains(text), "{}: {text:?} is missing in\n{}", self.what, self.stderr);
        }
        self
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{}: {e}\n{}", self.what, self.stdout))
    }
}

/// A server, ended with the test.
pub(crate) struct Server {
    pub(crate) child: Child,
    /// The line it printed when it was ready.
    pub(crate) ready: Value,
}

impl Server {
    /// Starts a server and waits until it is ready.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.arg("--json").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Ok(ready) = serde_json::from_str(&line) else {
            let mut said = String::new();
            child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            panic!("the server did not start: {line}{said}");
        };
        Self { child, ready }
    }

    /// `quickstart` on free ports.
    pub(crate) fn quickstart(home: &Home, args: &[&str]) -> Self {
        let mut command = home.command(&["quickstart", "--imap", "127.0.0.1:0", "--imaps", "127.0.0.1:0"]);
        command.args(args).arg("--data").arg(home.data());
        Self::start(command)
    }

    /// `serve` with IMAP without TLS, where loopback may log in.
    pub(crate) fn plain(home: &Home) -> Self {
        let config = "data = \"data\"\n[auth]\nplaintext_networks = [\"127.0.0.0/8\"]\n\
                      [[listener]]\nprotocol = \"imap\"\naddress = \"127.0.0.1:0\"\ntls = \"none\"\n";
        std::fs::write(home.path("columba.toml"), config).unwrap();
        Self::start(home.command(&["serve", "--config", "columba.toml"]))
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Asks it to end, and gives its status and log.
    pub(crate) fn stop(mut self) -> (Option<i32>, String) {
        self.signal(rustix::process::Signal::TERM);
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (self.child.wait().unwrap().code(), log)
    }

    pub(crate) fn imap(&self) -> Imap {
        let address = self.ready["listeners"][0]["address"].as_str().or(self.ready["imap"][0].as_str()).unwrap();
        Imap::connect(address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Just enough of an IMAP client.
pub(crate) struct Imap(BufReader<TcpStream>);

impl Imap {
    pub(crate) fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut imap = Self(BufReader::new(stream));
        let greeting = imap.line();
        assert!(greeting.starts_with("* OK"), "{greeting}");
        imap
    }

    /// The next line; empty once the server has closed the connection.
    pub(crate) fn line(&mut self) -> String {
        let mut line = Vec::new();
        self.0.read_until(b'\n', &mut line).unwrap_or(0);
        String::from_utf8_lossy(&line).into_owned()
    }

    /// Sends a command and returns all lines of the answer.
    pub(crate) fn command(&mut self, text: &str) -> String {
        self.0.get_mut().write_all(format!("a {text}\r\n").as_bytes()).unwrap();
        let mut all = String::new();
        loop {
            let line = self.line();
            all.push_str(&line);
            if line.is_empty() || line.starts_with("a ") {
                return all;
            }
        }
    }
}

/// All files below a directory with their content, by relative path.
pub(crate) fn files(root: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut todo = vec![root.to_owned()];
    while let Some(directory) = todo.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.push((name, std::fs::read(path).unwrap()));
            }
        }
    }
    found.sort();
    found
}
