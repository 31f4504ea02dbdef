"""A private Cyrus, unpacked by bench/setup.sh: configuration, data and ports of its own, as an unprivileged user."""

import contextlib
import os
import pathlib
import pwd
import signal
import socket
import subprocess
import time

import servers

TREE = pathlib.Path(os.environ.get("COLUMBA_BENCH_CYRUS", "/usr/local/lib/columba-bench/cyrus"))
USER = "nobody"

IMAPD = """configdirectory: {d}/conf
partition-default: {d}/spool
defaultpartition: default
proc_path: {d}/conf/proc
mboxname_lockpath: {d}/conf/lock
sievedir: {d}/sieve
cyrus_user: {user}
cyrus_group: {group}
admins: cyrus
servername: localhost
autocreate_inbox_folders: Sent
autocreate_quota: 0
unixhierarchysep: yes
altnamespace: yes
allowplaintext: no
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: {d}/sasldb2
sasl_mech_list: PLAIN LOGIN
tls_server_cert: {d}/certificate.pem
tls_server_key: {d}/key.pem
search_engine: none
"""

MASTER = """START {{
  recover cmd="{bin}/ctl_cyrusdb -C {d}/imapd.conf -r"
}}
SERVICES {{
  imap cmd="{bin}/imapd -C {d}/imapd.conf" listen="127.0.0.1:{port}" prefork=1
  imaps cmd="{bin}/imapd -C {d}/imapd.conf -s" listen="127.0.0.1:{tls_port}" prefork=1
}}
"""


class Cyrus:
    """As far as it is looked at: ports, certificate, accounts."""

    def __init__(self, directory):
        self.directory = directory
        self.certificate = directory / "certificate.pem"
        self.port, self.tls_port = servers.free_port(), servers.free_port()
        self.accounts = 0
        self.process = None

    def account(self):
        self.accounts += 1
        account = servers.Account(f"user{self.accounts}")
        self.password(account.user)
        return account

    def password(self, name):
        argv = ["saslpasswd2", "-c", "-p", "-u", "localhost", "-f", self.directory / "sasldb2", name]
        subprocess.run(argv, input=servers.PASSWORD.encode(), check=True, capture_output=True)
        self.own()

    def own(self):
        user = pwd.getpwnam(USER)
        for root, directories, files in os.walk(self.directory):
            for name in [".", *directories, *files]:
                # A server at work takes its files away.
                with contextlib.suppress(FileNotFoundError):
                    os.chown(os.path.join(root, name), user.pw_uid, user.pw_gid)

    def start(self):
        user = pwd.getpwnam(USER)
        group = os.popen(f"id -gn {USER}").read().strip()
        for name in ["db", "socket", "log", "proc", "lock", "user", "quota", "msg"]:
            (self.directory / "conf" / name).mkdir(parents=True)
        (self.directory / "spool").mkdir()
        servers.self_signed(self.certificate, self.directory / "key.pem")
        values = {"d": self.directory, "bin": TREE / "usr/lib/cyrus/bin", "user": USER, "group": group}
        values |= {"port": self.port, "tls_port": self.tls_port}
        (self.directory / "imapd.conf").write_text(IMAPD.format(**values))
        (self.directory / "cyrus.conf").write_text(MASTER.format(**values))
        self.password("cyrus")
        libraries = next((TREE / "usr/lib").glob("*/libcyrus.so.0")).parent
        log = open(self.directory / "start.log", "ab")  # noqa: SIM115 (handed to the server)
        self.process = subprocess.Popen(
            [values["bin"] / "master", "-C", self.directory / "imapd.conf", "-M", self.directory / "cyrus.conf"]
            + ["-p", self.directory / "conf/master.pid"],
            env={**os.environ, "LD_LIBRARY_PATH": str(libraries)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            user=user.pw_uid,
            group=user.pw_gid,
            extra_groups=[],
            start_new_session=True,
        )
        end = time.monotonic() + servers.START_SECONDS
        while True:
            with contextlib.suppress(OSError), socket.create_connection((servers.HOST, self.port), timeout=10) as probe:
                if probe.recv(10).startswith(b"* OK"):
                    return
            said = (self.directory / "start.log").read_text(errors="replace")[-800:]
            assert self.process.poll() is None and time.monotonic() < end, f"Cyrus did not start\n{said}"
            time.sleep(0.05)

    def kill(self):
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@contextlib.contextmanager
def launch():
    """A running Cyrus; killed and its directory removed at the end."""
    assert TREE.exists(), f"{TREE} is missing: bench/setup.sh puts Cyrus there"
    directory = servers.temporary()
    server = Cyrus(directory)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        subprocess.run(["rm", "-rf", str(directory)], check=False)
