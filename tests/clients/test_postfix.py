"""Postfix in front of the server, over LMTP: a private instance with its own configuration, queue and port.

What goes in by SMTP must arrive octet by octet, apart from trace fields on top; what cannot arrive must bounce or wait.
Needs root (Postfix does). Only the private instance is stopped, by `postfix -c`.
"""

import contextlib
import os
import pathlib
import pwd
import re
import signal
import smtplib
import subprocess

import mail
import servers
import wire
from cases import around, case, contains, equal, main, run, until

DOMAIN = "columba.test"
TRACE = re.compile(rb"^(Return-Path|Delivered-To|X-Original-To|Received): ")
MAIN_CF = """
compatibility_level = 3.6
queue_directory = {d}/queue
data_directory = {d}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {d}/log/mail.log
maillog_file_prefixes = {d}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
myhostname = mx.{domain}
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
virtual_mailbox_domains = {domain}
virtual_mailbox_maps =
virtual_transport = lmtp:unix:{lmtp}
recipient_delimiter = +
smtpd_relay_restrictions = permit_mynetworks, reject
default_transport = retry:no mail leaves this machine
relay_transport = retry:no mail leaves this machine
bounce_notice_recipient = postmaster@{domain}
message_size_limit = 20000000
mailbox_size_limit = 0
virtual_mailbox_limit = 0
smtputf8_enable = yes
minimal_backoff_time = 300s
queue_run_delay = 300s
"""
MASTER_CF = """
{port}     inet n - n - - smtpd
pickup    unix n - n 60 1 pickup
cleanup   unix n - n - 0 cleanup
qmgr      unix n - n 300 1 qmgr
rewrite   unix - - n - - trivial-rewrite
bounce    unix - - n - 0 bounce
defer     unix - - n - 0 bounce
trace     unix - - n - 0 bounce
verify    unix - - n - 1 verify
flush     unix n - n 1000? 0 flush
proxymap  unix - - n - - proxymap
smtp      unix - - n - - smtp
showq     unix n - n - - showq
error     unix - - n - - error
retry     unix - - n - - error
discard   unix - - n - - discard
lmtp      unix - - n - - lmtp
anvil     unix - - n - 1 anvil
scache    unix - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """A private instance that hands everything for columba.test to the server's LMTP socket."""

    def __init__(self, server):
        self.directory = server.directory / "postfix"
        self.etc = self.directory / "etc"
        self.port = servers.free_port()
        self.log = self.directory / "log/mail.log"
        for name in ("etc", "queue", "data", "log"):
            (self.directory / name).mkdir(parents=True)
        os.chown(self.directory / "data", pwd.getpwnam("postfix").pw_uid, -1)
        text = MAIN_CF.format(d=self.directory, domain=DOMAIN, lmtp=server.lmtp_path)
        (self.etc / "main.cf").write_text(text)
        (self.etc / "master.cf").write_text(MASTER_CF.format(port=f"127.0.0.1:{self.port}"))

    def start(self):
        run(["postfix", "-c", self.etc, "start"], seconds=60)
        until(self.answers, 20, "Postfix answers on its port")

    def answers(self):
        try:
            with smtplib.SMTP(servers.HOST, self.port, timeout=10) as client:
                return client.noop()[0] == 250
        except OSError:
            return False

    def stop(self):
        """Stops the private master and waits until its pid is gone."""
        pid_file = self.directory / "queue/pid/master.pid"
        pid = int(pid_file.read_text()) if pid_file.exists() else 0
        run(["postfix", "-c", self.etc, "stop"], seconds=60, status=None)
        if pid:
            with contextlib.suppress(ProcessLookupError):
                until(lambda: not pathlib.Path(f"/proc/{pid}").exists(), 10, "Postfix ends")
                os.kill(pid, signal.SIGKILL)

    def send(self, recipients, octets, sender=f"sender@{DOMAIN}", options=("BODY=8BITMIME",)):
        with smtplib.SMTP(servers.HOST, self.port, timeout=60) as client:
            refused = client.sendmail(sender, recipients, octets, mail_options=list(options))
            equal(refused, {}, "recipients refused by Postfix")

    def queue(self):
        """The number of messages in the queue."""
        out = subprocess.run(
            ["postqueue", "-c", str(self.etc), "-j"], capture_output=True, text=True, check=True
        ).stdout
        return len(out.splitlines())

    def flush(self):
        run(["postqueue", "-c", self.etc, "-f"])

    def log_lines(self, pattern):
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return [line for line in text.splitlines() if re.search(pattern, line)]


@around
@contextlib.contextmanager
def postfix(server):
    """One Postfix for all cases; each gets it as its second argument."""
    assert os.geteuid() == 0, "Postfix can only be started by root"
    mta = Postfix(server)
    try:
        mta.start()
        yield mta
        equal(mta.log_lines("(fatal|panic):"), [], "what went wrong in Postfix")
    finally:
        mta.stop()


def original(octets):
    """The message without the trace fields on top of it (RFC 5321 §4.4)."""
    while match := TRACE.match(octets):
        end = re.compile(rb"\r\n(?![ \t])").search(octets, match.end()).end()
        octets = octets[end:]
    return octets


def inbox(server, account, mailbox="INBOX"):
    """Octets of all messages, each a list entry."""
    with server.connect(account) as connection:
        connection.ok(f"EXAMINE {wire.quote(mailbox)}")
        return [octets for octets, _ in wire.messages(connection).values()]


def arrives(server, account, count, mailbox="INBOX"):
    return until(
        lambda: len(found := inbox(server, account, mailbox)) >= count and found, 30, f"{count} messages in {mailbox}"
    )


@case
def messages_arrive_octet_by_octet(server, mta):
    account = server.account()
    # Lines over 998 octets may not go over SMTP (RFC 5321 §4.5.3.1.6); complete messages are not rewritten.
    source = mail.Mail(71)
    sent = {}
    while len(sent) < 30:
        identity, octets = source.message()
        if max(map(len, octets.split(b"\r\n"))) < 998 and octets.endswith(b"\r\n"):
            sent[identity] = octets
    for octets in sent.values():
        mta.send([f"{account.user}@{DOMAIN}"], octets)
    found = arrives(server, account, len(sent))
    equal({mail.unique(o): original(o) for o in found}, sent, "messages that arrived")
    equal(len(found), len(sent), "messages that arrived")
    first = found[0]
    contains(first, b"Return-Path: <sender@columba.test>\r\n", "trace fields")
    contains(first, b"Received: ", "trace fields")
    equal(mta.queue(), 0, "messages left in the queue")


@case
def several_recipients_each_get_one(server, mta):
    accounts = [server.account() for _ in range(5)]
    octets = mail.plain("several")
    mta.send([f"{a.user}@{DOMAIN}" for a in accounts], octets)
    for account in accounts:
        equal([original(o) for o in arrives(server, account, 1)], [octets], f"INBOX of {account.user}")


@case
def an_unknown_user_bounces_and_the_others_get_theirs(server, mta):
    account = server.account()
    mta.send(
        [f"no-such-person@{DOMAIN}", f"{account.user}@{DOMAIN}"], mail.plain("half"), sender=f"{account.user}@{DOMAIN}"
    )
    found = arrives(server, account, 2)
    bounce = next(o for o in found if mail.unique(o) is None or b"MAILER-DAEMON" in o)
    contains(bounce, b"Status: 5.1.1\r\n", "the bounce")
    contains(bounce, f"no-such-person@{DOMAIN}".encode(), "the bounce")
    contains(bounce, b"Return-Path: <>\r\n", "the bounce comes from nobody")
    line = mta.log_lines(f"to=<no-such-person@{DOMAIN}>")[0]
    contains(line, "dsn=5.1.1", "Postfix's log")
    contains(line, "status=bounced", "Postfix's log")


@case
def plus_addresses_go_to_folders_that_exist(server, mta):
    account = server.account()
    with server.connect(account) as connection:
        connection.ok("CREATE Lists")
    mta.send([f"{account.user}+Lists@{DOMAIN}"], mail.plain("listed"))
    equal([mail.unique(o) for o in arrives(server, account, 1, "Lists")], ["listed"], "the folder")
    if not server.is_columba:  # Dovecot would bounce or create, by configuration
        return
    mta.send([f"{account.user}+lists@{DOMAIN}"], mail.plain("lower"))
    equal(
        {mail.unique(o) for o in arrives(server, account, 2, "Lists")},
        {"listed", "lower"},
        "the folder in another case",
    )
    mta.send([f"{account.user}+nowhere@{DOMAIN}"], mail.plain("nowhere"))
    equal([mail.unique(o) for o in arrives(server, account, 1)], ["nowhere"], "INBOX gets what has no folder")
    with server.connect(account) as connection:
        names = [r.data[2] for r in connection.ok('LIST "" "*"').of("LIST")]
        assert "nowhere" not in names and b"nowhere" not in names, f"a folder was made: {names}"


@case
def eight_bit_and_utf8_addresses(server, mta):
    account = server.account()
    octets = mail.plain("eight", "Grüße, 日本語, 🐦\r\n. a dot\r\n..\r\n", subject="Übung 🐦")
    # Dovecot's LMTP has no SMTPUTF8, so Postfix would bounce there.
    options = ("BODY=8BITMIME", "SMTPUTF8") if server.is_columba else ("BODY=8BITMIME",)
    mta.send([f"{account.user}@{DOMAIN}"], octets, options=options)
    equal([original(o) for o in arrives(server, account, 1)], [octets], "the message")


@case
def five_megabytes(server, mta):
    account = server.account()
    _, octets = mail.Mail(72).message(size=1000)
    line = b"Five megabytes of this line, with a number that is no number at all.\r\n"
    octets = octets.rstrip(b"\r\n") + b"\r\n" + line * (5_000_000 // len(line))
    mta.send([f"{account.user}@{DOMAIN}"], octets)
    equal(original(arrives(server, account, 1)[0]), octets, "the message")


@case
def what_comes_while_the_server_is_down_waits_and_arrives_once(server, mta):
    account = server.account()
    server.kill()
    octets = [mail.plain(f"queued{n}", f"Message {n}.\r\n") for n in range(10)]
    for one in octets:
        mta.send([f"{account.user}@{DOMAIN}"], one)
    until(
        lambda: len(mta.log_lines(f"to=<{account.user}@{DOMAIN}>.*status=deferred")) >= 10,
        30,
        "ten deferrals in the log",
    )
    equal(mta.queue(), 10, "messages in the queue while the server is down")
    server.start()
    mta.flush()
    until(lambda: mta.queue() == 0, 30, "the queue is empty")
    found = inbox(server, account)
    equal(sorted(original(o) for o in found), sorted(octets), "messages that arrived, each once")


main(__name__)
