"""`columba check` against the real thing: Columba, Dovecot, Cyrus, OpenSSL's old TLS, packet filters; and nmap against
Columba.

Cyrus is looked for where bench/setup.sh puts it. Packet filters are tried in network namespaces of their own, so that
needs root; nothing outside them is touched.
"""

import contextlib
import functools
import json
import os
import pathlib
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "clients"))

import servers
from cases import Counts, contains, equal

import cyrus

PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"
SECONDS = 120


def columba(*arguments, statuses=(0, 1, 2), stdin=None, within=()):
    """Runs `columba check … --json`; status and report."""
    argv = [*within, str(servers.columba_binary()), "check", *map(str, arguments), "--json"]
    done = subprocess.run(argv, capture_output=True, timeout=SECONDS, input=stdin, env={**os.environ, "PATH": PATH})
    assert done.returncode in statuses, f"{argv} ended with {done.returncode}: {done.stderr.decode()[-500:]}"
    return done.returncode, json.loads(done.stdout)


def ids(report):
    return {finding["id"] for finding in report["findings"]}


def has(report, *wanted):
    missing = set(wanted) - ids(report)
    assert not missing, f"no {missing} in {json.dumps(report['findings'], indent=1)}"


def has_not(report, *unwanted):
    there = set(unwanted) & ids(report)
    assert not there, f"{there} in {json.dumps(report['findings'], indent=1)}"


# --- other servers ---


def looked_at(server, software, revision_2):
    """What has to be seen of any good server, on both ports."""
    for port, how in [(server.port, "--starttls"), (server.tls_port, "--tls")]:
        status, report = columba(f"localhost:{port}", "-4", how, "--ca", server.certificate, "--warn-days", 10)
        assert status == 0, json.dumps(report["findings"], indent=1)
        has(report, "port-open", "certificate-trusted")
        has_not(report, "tls-untested", "starttls-untested", "tls-old-version", "tls-weak-cipher")
        seen = report["ports"][0]
        contains(seen["software"], software, "the software")
        equal(seen["state"], "open", "the state")
        assert "AUTH=PLAIN" in seen["capabilities"], seen["capabilities"]
        if how == "--starttls":
            has(report, "starttls-safe")
        if revision_2:
            has_not(report, "revision-1-only")
        else:
            has(report, "revision-1-only")
    logs_in(server)


def logs_in(server):
    account = server.account()
    for password, wanted, step in [(account.password, 0, "select"), ("wrong", 2, "login")]:
        for port, how in [(server.port, "--starttls"), (server.tls_port, "--tls")]:
            arguments = [f"localhost:{port}", how, "-4", "--ca", server.certificate, "--login", account.user]
            status, report = columba(*arguments, "--password-stdin", stdin=password.encode() + b"\n")
            last = report["login"]["steps"][-1]
            equal((status, last["step"]), (wanted, step), f"a login with {password!r}: {last}")


def columba_is_looked_at():
    with servers.launch("columba") as server:
        looked_at(server, "Columba", revision_2=True)


def dovecot_is_looked_at():
    with servers.launch("dovecot") as server:
        looked_at(server, "Dovecot", revision_2=False)


def cyrus_is_looked_at():
    with cyrus.launch() as server:
        looked_at(server, "Cyrus", revision_2=False)


# --- old TLS, by OpenSSL ---


@contextlib.contextmanager
def openssl_server(directory, minimum, maximum, ciphers):
    """IMAP with TLS from the start, and only these versions and suites."""
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    servers.self_signed(certificate, key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers(ciphers)
    context.minimum_version, context.maximum_version = minimum, maximum
    context.load_cert_chain(certificate, key)
    listener = socket.create_server((servers.HOST, 0))

    def serve(stream):
        with contextlib.suppress(OSError), stream, context.wrap_socket(stream, server_side=True) as tls:
            tls.sendall(b"* OK stub ready\r\n")
            tls.recv(4096)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                stream, _ = listener.accept()
                threading.Thread(target=serve, args=(stream,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()


def old_versions_are_found():
    versions = ssl.TLSVersion
    cases = [
        (versions.TLSv1, versions.TLSv1, "ALL:@SECLEVEL=0", ["TLS 1.0"], {"tls-old-version", "tls-failed"}),
        (versions.TLSv1, versions.TLSv1_1, "ALL:@SECLEVEL=0", ["TLS 1.0", "TLS 1.1"], {"tls-old-version"}),
        (versions.TLSv1_2, versions.TLSv1_2, "ECDHE:@SECLEVEL=1", ["TLS 1.2"], {"tls-modern", "tls-no-1.3"}),
        (versions.TLSv1_3, versions.TLSv1_3, "ECDHE:@SECLEVEL=1", ["TLS 1.3"], {"tls-modern"}),
        (versions.TLSv1_2, versions.TLSv1_3, "ECDHE:aNULL:@SECLEVEL=0", ["TLS 1.2", "TLS 1.3"], {"tls-weak-cipher"}),
    ]
    for minimum, maximum, ciphers, offered, wanted in cases:
        with tempfile.TemporaryDirectory() as directory:
            with openssl_server(pathlib.Path(directory), minimum, maximum, ciphers) as port:
                _, report = columba(f"{servers.HOST}:{port}", "--tls")
            has(report, *wanted)
            seen = report["ports"][0]
            got = [each["version"] for each in seen["versions"] if each["offered"] == "yes"]
            equal(got, offered, f"versions with {minimum} to {maximum}")
            # Also where no handshake can be finished: TLS 1.2 and older show it in the clear.
            equal(seen["certificate"]["certificates"][0]["key"], "ECDSA P-256", "the certificate's key")


# --- nmap ---


def nmap_recognises_columba():
    with servers.launch("columba") as server:
        argv = ["nmap", "-sV", "-Pn", "-n", "-p", f"{server.port},{server.tls_port}", "-oX", "-", servers.HOST]
        done = subprocess.run(argv, capture_output=True, timeout=SECONDS, check=True)
        seen = {}
        for port in xml.etree.ElementTree.fromstring(done.stdout).iter("port"):
            state, service = port.find("state"), port.find("service")
            seen[int(port.get("portid"))] = (
                state.get("state"),
                service.get("name"),
                service.get("method"),
                service.get("tunnel"),
            )
        equal(seen[server.port], ("open", "imap", "probed", None), "the port with STARTTLS")
        equal(seen[server.tls_port], ("open", "imap", "probed", "ssl"), "the port with TLS")


# --- packet filters, each in a network namespace of its own ---


class Namespace:
    """A network namespace with loopback up."""

    def __init__(self):
        self.process = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "ip link set lo up && echo ready && exec sleep 300"],
            stdout=subprocess.PIPE,
            env={**os.environ, "PATH": PATH},
        )
        ready = self.process.stdout.readline()
        assert ready == b"ready\n", "no network namespace could be made"
        self.within = ["nsenter", "--net", "--target", str(self.process.pid)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def run(self, *argv, stdin=None):
        command = [*self.within, *argv]
        done = subprocess.run(
            command, input=stdin, capture_output=True, timeout=SECONDS, env={**os.environ, "PATH": PATH}
        )
        assert done.returncode == 0, f"{argv} ended with {done.returncode}: {done.stderr.decode()}"
        return done.stdout.decode()


def dropped_and_rejected_ports_are_filtered():
    rules = b"""
table inet t {
  chain input {
    type filter hook input priority 0; policy accept;
    tcp dport 143 drop
    tcp dport 993 reject with icmpx type admin-prohibited
  }
}
"""
    with Namespace() as namespace:
        namespace.run("nft", "-f", "-", stdin=rules)
        status, report = columba("127.0.0.1", "--timeout", 1, within=namespace.within)
        equal(status, 2, "the status")
        has(report, "nothing-answers", "port-filtered")
        told = {port["address"]: (port["state"], port["how"]) for port in report["ports"]}
        equal(told["127.0.0.1:143"], ("filtered", "no answer in 1.0 s"), "a dropped port")
        contains(told["127.0.0.1:993"][1], "ICMP", "a rejected port")
        equal(told["127.0.0.1:993"][0], "filtered", "a rejected port")
        # Another machine cannot be reached from in there.
        status, report = columba("192.0.2.1", "--timeout", 1, statuses=(3,), within=namespace.within)
        has(report, "nothing-reached", "no-route")


def rules_are_read_from_within():
    with Namespace() as namespace:
        listener = "import socket,sys; s=[socket.create_server(('0.0.0.0',p)) for p in (143,993)]; print(1,flush=True)"
        server = subprocess.Popen(
            [*namespace.within, sys.executable, "-c", f"{listener}; sys.stdin.read()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        server.stdout.readline()
        local = functools.partial(columba, "--local", within=namespace.within)
        try:
            _, report = local()
            has(report, "local-listens", "local-not-columba", "local-rules-none", "local-starttls-for-everyone")
            base = "add table inet t\nadd chain inet t input { type filter hook input priority 0; policy drop; }\n"
            namespace.run("nft", "-f", "-", stdin=base.encode())
            _, report = local()
            has(report, "local-blocked")
            lines = [
                "ct state vmap { established : accept, related : accept, invalid : drop }",
                'iifname "lo" accept',
                "tcp dport { 22, 993 } counter accept",
                "ip saddr { 192.0.2.0/24, 198.51.100.7 } tcp dport 143 accept",
            ]
            namespace.run("nft", "-f", "-", stdin="".join(f"add rule inet t input {x}\n" for x in lines).encode())
            _, report = local()
            has(report, "local-restricted")
            has_not(report, "local-blocked", "local-rules-unclear")
            what = next(f["what"] for f in report["findings"] if f["id"] == "local-restricted")
            contains(what, "192.0.2.0/24", "who is let in")
            # The printed lines go in front of what is there.
            for line in report["firewall"]["text"].splitlines():
                if line.startswith("nft "):
                    namespace.run("sh", "-c", line)
            contains(namespace.run("nft", "list", "ruleset"), 'tcp dport 143 iifname != "lo" drop', "the rules")
        finally:
            server.kill()
            server.wait()


NETWORKS = [
    [],
    ["192.0.2.0/24"],
    ["192.0.2.0/24", "192.0.2.7", "198.51.100.0/24", "2001:db8::/32", "2001:db8:1::/48"],
    ["0.0.0.0/0", "::/0"],
]


def printed_rules_load():
    with Namespace() as namespace:
        for networks in NETWORKS:
            allow = [word for network in networks for word in ("--allow", network)]
            _, report = columba("--local", "--firewall", "nft", *allow, within=namespace.within)
            rules = report["firewall"]["text"].encode()
            namespace.run("nft", "-c", "-f", "-", stdin=rules)
            # Twice: the second replaces the first.
            for _ in range(2):
                namespace.run("nft", "-f", "-", stdin=rules)
            equal(namespace.run("nft", "list", "ruleset").count("chain input"), 1, "chains after loading twice")


CASES = [
    columba_is_looked_at,
    dovecot_is_looked_at,
    cyrus_is_looked_at,
    old_versions_are_found,
    nmap_recognises_columba,
    dropped_and_rejected_ports_are_filtered,
    rules_are_read_from_within,
    printed_rules_load,
]


def main():
    counts = Counts()
    for case in CASES:
        counts.take(case.__name__.replace("_", " "), case)
    return counts.finish()


if __name__ == "__main__":
    sys.exit(main())
