"""Starts a server under test in a temporary directory: Columba, or Dovecot to prove that the tests are right.

Both look the same from outside: free loopback ports for STARTTLS and implicit TLS, a certificate for `localhost`, LMTP
on a Unix socket, accounts made on demand. Nothing outside the temporary directory is read or written. Knows no IMAP.
"""

import contextlib
import json
import os
import pathlib
import queue
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import tempfile
import threading
from dataclasses import dataclass

import wire

ROOT = pathlib.Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
PASSWORD = "correct horse battery"
START_SECONDS = 60
STOP_SECONDS = 20
NOBODY = 65534


@dataclass
class Account:
    """Who may log in; also the local part of the mail address."""

    user: str
    password: str = PASSWORD


def temporary():
    """A directory with a short path (Unix socket names end at 108 octets) that other users may walk through."""
    base = pathlib.Path(os.environ.get("COLUMBA_TEST_DIR", "/tmp"))
    directory = pathlib.Path(tempfile.mkdtemp(prefix="columba-", dir=base))
    directory.chmod(0o755)
    return directory


def free_port():
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def columba_binary():
    """`COLUMBA_BIN`, else the newest of the release and debug builds."""
    chosen = os.environ.get("COLUMBA_BIN")
    if chosen:
        return pathlib.Path(chosen)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    built = [p for p in (target / "release/columba", target / "debug/columba") if p.exists()]
    if not built:
        raise FileNotFoundError("no columba binary: run `cargo build --release` first, or set COLUMBA_BIN")
    return max(built, key=lambda p: p.stat().st_mtime)


def lmtp_deliver(path, sender, recipients, message, deadline=60.0):
    """One LMTP transaction; recipient -> (code, text) of the last reply about it."""
    client = smtplib.LMTP(host=str(path), local_hostname="localhost", timeout=deadline)
    try:
        code, text = client.ehlo()  # sends LHLO
        if code != 250:
            return {r: (code, text.decode()) for r in recipients}
        code, text = client.mail(sender, ["BODY=8BITMIME"] if client.has_extn("8bitmime") else [])
        if code != 250:
            return {r: (code, text.decode()) for r in recipients}
        answers = {}
        accepted = []
        for recipient in recipients:
            code, text = client.rcpt(recipient)
            answers[recipient] = (code, text.decode())
            if code == 250:
                accepted.append(recipient)
        if accepted:
            # smtplib's data() reads one reply; LMTP gives one for each accepted recipient (RFC 2033 §4.2).
            code, text = client.docmd("DATA")
            if code == 354:
                body = message.replace(b"\r\n.", b"\r\n..")
                client.send((b"." if body.startswith(b".") else b"") + body)
                client.send(b".\r\n" if body.endswith(b"\r\n") else b"\r\n.\r\n")
                for recipient in accepted:
                    code, text = client.getreply()
                    answers[recipient] = (code, text.decode())
            else:
                answers.update({r: (code, text.decode()) for r in accepted})
        with contextlib.suppress(smtplib.SMTPException, OSError):
            client.quit()
        return answers
    finally:
        client.close()


class Server:
    """What both servers have: addresses, certificate, accounts, a log."""

    name = ""

    def __init__(self, directory):
        self.directory = directory
        self.log_path = directory / "server.log"
        self.certificate = directory / "certificate.pem"
        self.lmtp_path = None
        self.port = self.tls_port = 0
        self.accounts = 0
        self.process = None
        self.stopped = False

    @property
    def is_columba(self):
        return self.name == "columba"

    def account(self):
        """A new, empty account."""
        self.accounts += 1
        account = Account(f"user{self.accounts}")
        self.add_account(account)
        return account

    def tls_context(self):
        """Trusts this server's certificate and nothing else."""
        return ssl.create_default_context(cafile=str(self.certificate))

    def plain(self, **options):
        """A connection before STARTTLS, greeting read."""
        connection = wire.Wire(HOST, self.port, **options)
        connection.greeting()
        return connection

    def connect(self, account=None, mailbox=None, implicit=False, **options):
        """A connection over TLS; logged in and with a mailbox selected if given."""
        if implicit:
            connection = wire.Wire(HOST, self.tls_port, tls=self.tls_context(), **options)
            connection.greeting()
        else:
            connection = self.plain(**options)
            connection.starttls(self.tls_context())
        if account:
            connection.login(account.user, account.password)
        if mailbox:
            connection.select(mailbox)
        return connection

    def deliver(self, recipients, message, sender="sender@example.org"):
        """Delivers by LMTP and asserts that every recipient got it."""
        answers = lmtp_deliver(self.lmtp_path, sender, recipients, message)
        refused = {r: a for r, a in answers.items() if a[0] != 250}
        assert not refused, f"LMTP delivery refused: {refused}"

    def log_tail(self, lines=25):
        if not self.log_path.exists():
            return ""
        tail = self.log_path.read_text(errors="replace").splitlines()[-lines:]
        return "\n".join("        | " + line for line in tail)

    def check_healthy(self):
        assert self.process.poll() is None, f"the server ended with {self.process.poll()}"
        log = self.log_path.read_text(errors="replace") if self.log_path.exists() else ""
        for line in log.splitlines():
            assert not any(w in line.lower() for w in ("panick", "panic:", "backtrace")), f"in the server's log: {line}"

    def stop(self):
        """SIGTERM; the server must end by itself with status 0."""
        self.stopped = True
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=STOP_SECONDS)
        assert status == 0, f"the server ended with status {status} when asked to stop"

    def kill(self):
        """SIGKILL: nothing is finished, nothing is said."""
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait()


class Columba(Server):
    """`columba quickstart` on free ports; a restart takes the same data and the same ports."""

    name = "columba"

    def __init__(self, directory):
        super().__init__(directory)
        self.data = directory / "data"
        self.lmtp_path = directory / "lmtp"
        self.binary = columba_binary()
        self.ready = None
        self.environment = {}

    def start(self):
        first = not self.data.exists()
        if first and os.geteuid() == 0:
            # Started as root, the server becomes whoever owns its data.
            self.data.mkdir(mode=0o700)
            os.chown(self.data, NOBODY, NOBODY)
        argv = [self.binary, "quickstart", "--json", "--data", self.data]
        if first:
            argv += ["--account", "bob", "--password-stdin"]
        argv += [
            "--imap",
            f"{HOST}:{self.port}",
            "--imaps",
            f"{HOST}:{self.tls_port}",
            "--lmtp",
            f"unix:{self.lmtp_path}",
        ]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [str(a) for a in argv],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, "RUST_BACKTRACE": "1", **self.environment},
                start_new_session=True,
            )
        with contextlib.suppress(BrokenPipeError):
            if first:
                self.process.stdin.write(PASSWORD.encode() + b"\n")
            self.process.stdin.close()
        self.ready = self.read_ready()
        self.take_addresses()

    def read_ready(self):
        """The JSON line that says the server is up; stdout is drained for the rest of the server's life."""
        lines = queue.Queue()

        def drain(stream):
            for line in stream:
                lines.put(line)
            lines.put(b"")

        threading.Thread(target=drain, args=(self.process.stdout,), daemon=True).start()
        try:
            line = lines.get(timeout=START_SECONDS)
        except queue.Empty:
            self.kill()
            raise AssertionError(f"columba was not ready within {START_SECONDS} s\n{self.log_tail()}") from None
        if not line:
            raise AssertionError(f"columba ended with {self.process.wait()} instead of starting\n{self.log_tail()}")
        return json.loads(line)

    def take_addresses(self):
        self.port = int(self.ready["imap"][0].rsplit(":", 1)[1])
        self.tls_port = int(self.ready["imaps"][0].rsplit(":", 1)[1])
        self.certificate = pathlib.Path(self.ready["certificate"])

    def command(self, *arguments, stdin=None, seconds=120, status=0):
        """Runs `columba …` on this server's data; its stdout."""
        done = subprocess.run(
            [str(self.binary), *map(str, arguments), "--data", str(self.data)],
            input=stdin,
            capture_output=True,
            timeout=seconds,
        )
        if status is not None and done.returncode != status:
            raise AssertionError(
                f"`columba {' '.join(map(str, arguments))}` ended with {done.returncode}: {done.stderr.decode()[-800:]}"
            )
        return done.stdout.decode()

    def add_account(self, account):
        self.command("account", "add", account.user, "--password-stdin", stdin=account.password.encode() + b"\n")

    def verify(self):
        """Full check of the store; the report when clean."""
        report = json.loads(self.command("verify", "--json", seconds=300, status=None))
        findings = [finding for finding in report["findings"] if finding["severity"].lower() != "note"]
        assert not findings, f"columba verify found {findings[:10]}"
        return report

    def peak_memory(self):
        """VmHWM of the server in octets."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmHWM in /proc")


DOVECOT = """
base_dir = {d}/run
state_dir = {d}/run
log_path = {d}/server.log
protocols = imap lmtp
ssl = required
ssl_cert = <{d}/certificate.pem
ssl_key = <{d}/key.pem
disable_plaintext_auth = yes
auth_mechanisms = plain login
auth_verbose = yes
auth_failure_delay = 0
first_valid_uid = 1
mail_uid = {uid}
mail_gid = {gid}
mail_home = {d}/home/%n
mail_location = sdbox:~/mail
mail_max_userip_connections = 64
mail_fsync = never
recipient_delimiter = +
lmtp_save_to_detail_mailbox = yes
lmtp_rcpt_check_quota = no
postmaster_address = postmaster@localhost
imap_id_retain = yes
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%n {d}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%n {d}/users
  default_fields = uid={uid} gid={gid}
}}
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Drafts {{
    auto = subscribe
    special_use = \\Drafts
  }}
  mailbox Sent {{
    auto = subscribe
    special_use = \\Sent
  }}
  mailbox Junk {{
    auto = subscribe
    special_use = \\Junk
  }}
  mailbox Trash {{
    auto = subscribe
    special_use = \\Trash
  }}
  mailbox Archive {{
    auto = subscribe
    special_use = \\Archive
  }}
}}
service imap-login {{
  inet_listener imap {{
    address = 127.0.0.1
    port = {port}
  }}
  inet_listener imaps {{
    address = 127.0.0.1
    port = {tls_port}
    ssl = yes
  }}
  service_count = 0
  process_min_avail = 1
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service lmtp {{
  unix_listener {d}/lmtp {{
    mode = 0666
  }}
}}
"""


class Dovecot(Server):
    """Dovecot 2.3 with its own configuration, as root (its login processes want their own users)."""

    name = "dovecot"

    def __init__(self, directory):
        super().__init__(directory)
        self.lmtp_path = directory / "lmtp"
        self.configuration = directory / "dovecot.conf"
        self.users = directory / "users"

    def start(self):
        if not self.port:
            self.port, self.tls_port = free_port(), free_port()
            self.prepare()
        # Dovecot says when it is ready, as systemd wants it (sd_notify(3)); a Unix socket's name has to be short.
        with tempfile.TemporaryDirectory() as place, contextlib.closing(
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        ) as ready:
            ready.bind(f"{place}/ready")
            ready.settimeout(START_SECONDS)
            self.process = subprocess.Popen(
                ["/usr/sbin/dovecot", "-F", "-c", str(self.configuration)],
                stdin=subprocess.DEVNULL,
                env={**os.environ, "NOTIFY_SOCKET": f"{place}/ready"},
                start_new_session=True,
            )
            try:
                while b"READY=1" not in ready.recv(4096):
                    pass
            except TimeoutError:
                raise AssertionError(f"dovecot did not start\n{self.log_tail()}") from None

    def prepare(self):
        (self.directory / "home").mkdir()
        os.chown(self.directory / "home", NOBODY, NOBODY)
        self.configuration.write_text(
            DOVECOT.format(d=self.directory, uid=NOBODY, gid=NOBODY, port=self.port, tls_port=self.tls_port)
        )
        self_signed(self.certificate, self.directory / "key.pem")
        # Dovecot looks for changes of the file only once a second, so all accounts are there from the start.
        names = ["bob", *(f"user{number}" for number in range(1, 100))]
        self.users.write_text("".join(f"{n}:{PASSWORD}::::{self.directory}/home/{n}::\n" for n in names))

    def add_account(self, account):
        """All accounts exist already."""

    def verify(self):
        """Dovecot has no such command that is quick; nothing to check."""


def self_signed(certificate, key, name="localhost"):
    """Makes a certificate with the openssl tool."""
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "30",
        ]
        + ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1"]
        + ["-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )


@contextlib.contextmanager
def launch(kind="columba"):
    """A running server; killed and its directory removed at the end, unless COLUMBA_TEST_KEEP is set."""
    directory = temporary()
    server = {"columba": Columba, "dovecot": Dovecot}[kind](directory)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        if os.environ.get("COLUMBA_TEST_KEEP"):
            print(f"kept {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)
