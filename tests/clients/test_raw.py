"""Raw octets: what client libraries hide.

Pipelining, literals and their refusal, what is sent around STARTTLS, slow and dead clients, answers nobody reads,
pushes during IDLE and how soon they come, many connections, garbage, shutdown.
"""

import contextlib
import random
import socket
import statistics
import time

import mail
import wire
from cases import Skip, case, contains, equal, main, until
from wire import NonSync, Refused

SMALL = mail.plain("small")
LIMIT = 64


def filled(server, count=3, size=None):
    """An account with messages in INBOX; their octets in order."""
    account = server.account()
    source = mail.Mail(41)
    octets = [source.message(size)[1] for _ in range(count)]
    with server.connect(account) as connection:
        for one in octets:
            connection.append("INBOX", one)
    return account, octets


# --- synchronisation ---


@case
def what_changed_since_as_roundcube_asks(server):
    """Roundcube: STATUS and SELECT for HIGHESTMODSEQ, then UID FETCH with CHANGEDSINCE and VANISHED."""
    account, _ = filled(server, 5)
    with server.connect(account) as client, server.connect(account) as other:
        contains(client.capabilities(), "QRESYNC", "capabilities")
        contains(client.ok("ENABLE QRESYNC").of("ENABLED")[0].data, "QRESYNC", "what is enabled")
        before = int(client.ok("SELECT INBOX").untagged_code("HIGHESTMODSEQ")[1])
        client.ok("UNSELECT")
        other.ok("SELECT INBOX")
        other.ok("UID STORE 1,5 +FLAGS.SILENT (\\Deleted)")
        other.ok("UID STORE 3 +FLAGS.SILENT (\\Flagged)")
        other.ok("EXPUNGE")
        now = int(client.ok("SELECT INBOX").untagged_code("HIGHESTMODSEQ")[1])
        assert now > before, f"HIGHESTMODSEQ went from {before} to {now}"
        changed = client.ok(f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {before} VANISHED)")
        equal([r.data for r in changed.of("VANISHED")], [[["EARLIER"], "1,5"]], "what vanished")
        equal(
            {uid: set(items["FLAGS"]) - {"\\Recent"} for uid, items in changed.by_uid().items()},
            {3: {"\\Flagged"}},
            "what changed",
        )
        equal(client.ok(f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {now} VANISHED)").untagged, [], "what changed since then")


# --- before and around login ---


@case
def capabilities_change_with_tls_and_login(server):
    account = server.account()
    connection = server.plain()
    before = connection.capabilities()
    contains(before, "STARTTLS", "before TLS")
    contains(before, "IMAP4REV1", "before TLS")
    if server.is_columba:
        contains(before, "LOGINDISABLED", "before TLS")
        contains(before, "IMAP4REV2", "before TLS")
        assert "AUTH=PLAIN" not in before, f"AUTH=PLAIN is offered without TLS: {before}"
    connection.starttls(server.tls_context())
    within = connection.capabilities()
    assert not {"STARTTLS", "LOGINDISABLED"} & within, within
    contains(within, "AUTH=PLAIN", "within TLS")
    equal(connection.command("STARTTLS").status, "BAD", "STARTTLS within TLS")
    connection.login(account.user, account.password)
    contains(connection.capabilities(), "IDLE", "after login")
    connection.logout()


@case
def passwords_are_refused_without_tls(server):
    if not server.is_columba:  # Dovecot takes loopback for secure
        return
    account = server.account()
    connection = server.plain()
    result = connection.command(f"LOGIN {wire.quote(account.user)} {wire.quote(account.password)}")
    equal(result.status, "NO", "LOGIN without TLS")
    contains([c.upper() for c in result.code], "PRIVACYREQUIRED", "response code")
    assert connection.command("AUTHENTICATE PLAIN").status in ("NO", "BAD"), "AUTHENTICATE PLAIN without TLS"
    equal(connection.command("SELECT INBOX").status, "BAD", "SELECT without login")
    connection.logout()


@case
def nothing_from_before_starttls_survives_it(server):
    """A command injected behind STARTTLS in one packet must never be answered within TLS."""
    for injected in (b"x1 CAPABILITY\r\n", b"x1 LOGIN {3}\r\nbob {4}\r\n", b"x1 NO"):
        connection = server.plain()
        connection.send(b"t1 STARTTLS\r\n" + injected)
        equal(connection.finish("t1").status, "OK", "STARTTLS")
        if connection.buffer:
            raise AssertionError(f"answered in plain text after STARTTLS: {bytes(connection.buffer)!r}")
        try:
            connection.sock = server.tls_context().wrap_socket(connection.sock, server_hostname="localhost")
            answer = connection.ok("CAPABILITY")
        except (OSError, wire.ProtocolError) as error:
            # Feeding what was injected to TLS, which then fails, is as good as dropping it.
            assert "x1" not in str(error), f"the injected command was answered: {error}"
            continue
        assert answer.of("CAPABILITY"), "the first command within TLS got no answer of its own"
        connection.close()


@case
def literals_in_login(server):
    account = server.account()
    for kind in (bytes, NonSync):
        connection = server.connect()
        connection.ok("LOGIN ", kind(account.user.encode()), " ", kind(account.password.encode()))
        connection.ok("SELECT ", kind(b"INBOX"))
        connection.logout()
    connection = server.connect()
    connection.no("LOGIN ", account.user.encode(), " ", NonSync(b'wr"ong\\'))
    connection.login(account.user, account.password)
    connection.logout()


# --- pipelining ---


@case
def commands_sent_at_once_are_answered_in_order(server):
    account, octets = filled(server)
    connection = server.connect(account)
    commands = [
        "SELECT INBOX",
        "FETCH 1:* (UID BODY.PEEK[])",
        "STORE 2 +FLAGS (\\Deleted)",
        "EXPUNGE",
        "FETCH 1:* (UID)",
        "UID SEARCH ALL",
        "CREATE Piped",
        "UID COPY 1,3 Piped",
        "STATUS Piped (MESSAGES)",
        "SELECT Piped",
        "FETCH 1:* (BODY.PEEK[])",
        "NOOP",
        "BOGUS",
        "CLOSE",
    ]
    tags = [f"p{number}" for number in range(len(commands))]
    connection.send("".join(f"{tag} {command}\r\n" for tag, command in zip(tags, commands)).encode())
    by_tag = connection.finish_all(tags, in_order=server.is_columba)
    results = {command: by_tag[tag] for tag, command in zip(tags, commands)}
    for command, result in results.items():
        equal(result.status, "BAD" if command == "BOGUS" else "OK", command)
    if server.is_columba:  # Dovecot answers the FETCH before the EXPUNGE here
        equal([i["BODY[]"] for i in results["FETCH 1:* (UID BODY.PEEK[])"].fetches().values()], octets, "the messages")
        equal([i["UID"] for i in results["FETCH 1:* (UID)"].fetches().values()], ["1", "3"], "UIDs after EXPUNGE")
        equal(results["UID SEARCH ALL"].numbers(), [1, 3], "UID SEARCH")
        equal(results["STATUS Piped (MESSAGES)"].of("STATUS")[0].data[1], ["MESSAGES", "2"], "STATUS")
    connection.select("Piped")
    equal([o for o, _ in wire.messages(connection).values()], [octets[0], octets[2]], "the copies")
    connection.select("INBOX")
    equal(sorted(wire.messages(connection)), [1, 3], "UIDs in the end")
    connection.logout()


@case
def appends_with_non_synchronising_literals_are_pipelined(server):
    account = server.account()
    connection = server.connect(account)
    octets = [message for _, message in mail.Mail(42).messages(40)]
    out = bytearray()
    for number, one in enumerate(octets):
        out += f"n{number} APPEND INBOX (\\Seen) {{{len(one)}+}}\r\n".encode() + one + b"\r\n"
    connection.send(bytes(out))
    for number in range(len(octets)):
        equal(connection.finish(f"n{number}").status, "OK", f"APPEND {number}")
    connection.select()
    equal([o for o, _ in wire.messages(connection).values()], octets, "what was appended")
    connection.logout()


# --- messages put together by the server ---


def announced(connection, *names):
    missing = set(names) - connection.capabilities()
    if missing:
        raise Skip(f"no {' '.join(sorted(missing))}")


@case
def many_messages_come_in_one_append_or_none(server):
    account = server.account()
    connection = server.connect(account)
    octets = [message for _, message in mail.Mail(43).messages(120)]
    parts = ["APPEND INBOX"]
    for number, one in enumerate(octets):
        parts += [" (\\Seen) " if number % 2 else " ", NonSync(one) if number % 3 else one]
    announced(connection, "MULTIAPPEND")
    equal(connection.ok(*parts).code[2], f"1:{len(octets)}", "UIDs of APPENDUID")
    # RFC 3502 §6.3.11: an empty literal cancels all of them.
    connection.no(*parts, " ", NonSync(b""))
    connection.select()
    got = list(wire.messages(connection).values())
    equal([one for one, _ in got], octets, "what was appended")
    equal(["\\Seen" in flags for _, flags in got], [number % 2 == 1 for number in range(len(octets))], "flags")
    connection.logout()


@case
def a_draft_is_changed_and_sent_without_its_attachment_travelling(server):
    """CATENATE and REPLACE, as a client on a phone would use them: only the text goes over the line."""
    account = server.account()
    connection = server.connect(account)
    announced(connection, "CATENATE", "REPLACE")
    attachment = (b"ABCDEFGH" * 9 + b"\r\n") * 60_000
    tail = b"\r\n--b\r\nContent-Type: application/x\r\nContent-Transfer-Encoding: base64\r\n\r\n" + attachment
    end = b"\r\n--b--\r\n"

    def draft(text):
        return (
            b'Subject: Draft\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
            b"--b\r\nContent-Type: text/plain\r\n\r\n" + text
        )

    connection.append("Drafts", draft(b"one") + tail + end, "\\Draft")
    connection.select("Drafts")
    for number, text in enumerate([b"two", b"three", b"four"], 1):
        start = time.monotonic()
        url = f"/Drafts/;UID={number}"
        replaced = connection.ok(
            f"UID REPLACE {number} Drafts (\\Draft) CATENATE (TEXT ",
            NonSync(draft(text) + b"\r\n--b\r\n"),
            f' URL "{url}/;SECTION=2.MIME" URL "{url}/;SECTION=2" TEXT ',
            NonSync(end),
            ")",
        )
        spent = time.monotonic() - start
        equal(replaced.untagged_code("APPENDUID")[2], str(number + 1), "the UID of the new draft")
        equal([r.kind for r in replaced.untagged if r.kind in ("EXPUNGE", "VANISHED")], ["EXPUNGE"], "what went")
        equal(wire.messages(connection)[number + 1][0], draft(text) + tail + end, "the draft")
    print(f"        a draft of {len(attachment) / 1e6:.1f} MB replaced in {spent * 1000:.0f} ms")
    connection.ok("UID REPLACE 4 Sent CATENATE (URL ;UID=4)")
    equal(wire.messages(connection), {}, "Drafts in the end")
    connection.select("Sent")
    equal([one for one, _ in wire.messages(connection).values()], [draft(b"four") + tail + end], "Sent in the end")
    connection.logout()


# --- literals that are refused ---


@case
def a_refused_literal_leaves_the_connection_in_step(server):
    account = server.account()
    connection = server.connect(account)
    result = connection.command("APPEND Nowhere ", SMALL)
    equal((result.status, result.code[0]), ("NO", "TRYCREATE"), "APPEND to nowhere")
    # With 20 MB the client is still writing when the answer is there.
    for size in (10, 4000, 500_000, 20_000_000):
        result = connection.command("APPEND Nowhere ", NonSync(b"x" * size))
        equal((result.status, result.code[0]), ("NO", "TRYCREATE"), f"APPEND of {size} octets to nowhere, not waiting")
        connection.ok("NOOP")
    if server.is_columba:
        try:
            connection.send(b"big APPEND INBOX {99999999999}\r\n")
            connection.continuation()
            raise AssertionError("a literal of 99,999,999,999 octets was asked for")
        except Refused as refused:
            equal((refused.result.status, refused.result.code[0]), ("NO", "TOOBIG"), "a message that is too big")
        # The literal is no message here: limits of a command hold.
        assert connection.command("SELECT ", b"x" * 10).status == "NO"
        try:
            connection.send(b"long SELECT {2000000}\r\n")
            connection.continuation()
            raise AssertionError("a mailbox name of 2,000,000 octets was asked for")
        except Refused as refused:
            contains(("NO", "BAD"), refused.result.status, "a mailbox name of 2,000,000 octets")
    connection.ok("NOOP")
    connection.logout()


@case
def overlong_lines_and_garbage_end_in_bad_or_bye(server):
    account = server.account()
    connection = server.connect(account)
    for junk in (b"\r\n", b"a\r\n", b"a b c d e\r\n", b"a FETCH\r\n", b"* OK\r\n", b'a1 SELECT "\r\n', b"z NOOP\0\r\n"):
        connection.send(junk)
    connection.send(b"after NOOP\r\n")
    while (response := connection.response()).tag != "after":
        assert response.status in ("BAD", "BYE", "NO", None) or response.tag == "*", response.raw
        assert response.status != "BYE", "a handful of mistakes ended the connection"
    long_set = ",".join(str(n) for n in range(2, 2000, 2))
    connection.select()
    connection.ok(f"UID FETCH {long_set} (FLAGS)")
    connection.logout()
    connection = server.connect(account)
    connection.send(b"l1 SELECT " + b"x" * 200_000 + b"\r\nl2 NOOP\r\n")
    said = []
    with contextlib.suppress(wire.ProtocolError, OSError):
        while not said or said[-1].tag != "l2":
            said.append(connection.response())
    assert said and said[0].status in ("BAD", "BYE"), f"a line of 200,000 octets: {said}"
    connection.close()


@case
def random_octets_on_both_ports_hurt_nobody(server):
    rng = random.Random(43)
    account = server.account()
    for _ in range(30):
        for port in (server.port, server.tls_port):
            with socket.create_connection(("127.0.0.1", port)) as sock:
                sock.settimeout(10)
                with contextlib.suppress(OSError):
                    start = rng.choice([b"", b"a1 LOGIN ", b"\x16\x03\x01", b"GET / HTTP/1.1\r\n", b"a {5}\r\n"])
                    sock.sendall(start + rng.randbytes(rng.randint(1, 3000)) + rng.choice([b"", b"\r\n"]))
                    sock.shutdown(socket.SHUT_WR)
                    while sock.recv(65536):
                        pass
    with server.connect(account) as connection:
        connection.ok("NOOP")


# --- slow, greedy and dead clients ---


@case
def a_slow_client_is_understood(server):
    """Octets one by one, through TLS records of their own."""
    account = server.account()
    connection = server.connect(account)
    command = f"s1 APPEND INBOX (\\Flagged) {{{len(SMALL)}+}}\r\n".encode() + SMALL + b"\r\ns2 SELECT INBOX\r\n"
    for octet in command:
        connection.send(bytes([octet]))
    equal(connection.finish("s1").status, "OK", "APPEND octet by octet")
    equal(connection.finish("s2").status, "OK", "SELECT octet by octet")
    equal(next(iter(wire.messages(connection).values()))[0], SMALL, "the message")
    connection.logout()


@case
def answers_nobody_reads_stop_nobody_else(server):
    account, octets = filled(server, count=20, size=400_000)
    other = server.account()
    greedy = server.connect(account, "INBOX", receive_buffer=8192)
    total = sum(len(o) for o in octets)
    count = 20
    greedy.send("".join(f"g{n} FETCH 1:* (BODY.PEEK[])\r\n" for n in range(count)).encode())
    with server.connect(other, "INBOX") as connection:
        started = time.monotonic()
        for _ in range(100):
            connection.append("INBOX", SMALL)
        connection.ok("NOOP")
        spent = time.monotonic() - started
    print(f"        100 appends beside {count * total // 1_000_000} MB that nobody reads: {spent:.2f} s")
    assert spent < 20, f"another account had to wait {spent:.1f} s"
    if server.is_columba:
        peak = server.peak_memory()
        print(f"        peak memory of the server {peak // 1_000_000} MB")
        assert peak < 300_000_000, f"the server took {peak} octets of memory"
    with server.connect(account, "INBOX") as connection:
        connection.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
        connection.ok("EXPUNGE")
    # Now read it all: no expunge may be told before the last FETCH is answered (RFC 9051 §7.5.1), no octet is missing.
    for number in range(count):
        result = greedy.finish(f"g{number}")
        equal(result.of("EXPUNGE"), [], "EXPUNGE during FETCH")
        answers = {number: items["BODY[]"] for number, items in result.fetches().items() if "BODY[]" in items}
        equal(len(answers), len(octets), f"messages of FETCH {number}")
        for place, wanted in enumerate(octets, 1):
            # Dovecot has nothing left to send of a message that is gone, so the first one is not compared there.
            if place > 1 or server.is_columba:
                assert answers[place] == wanted, f"message {place} of FETCH {number} is not what was appended"
    equal([r.number for r in greedy.ok("NOOP").of("EXPUNGE")], [1], "EXPUNGE told at NOOP")
    greedy.abort()


@case
def dead_clients_are_forgotten(server):
    """Resets in every state; afterwards as many connections as ever are possible."""
    account, _ = filled(server)
    rng = random.Random(44)
    for number in range(LIMIT * 2):
        if number % 4 == 0:
            connection = server.plain()
            connection.send(b"d1 STARTTLS\r\n" + rng.randbytes(20))
        else:
            connection = server.connect(account, "INBOX")
            connection.send(
                rng.choice(
                    [
                        b"d1 IDLE\r\n",
                        b"d1 APPEND INBOX {1000}\r\nhalf",
                        b"d1 APPEND INBOX {9000+}\r\nhalf",
                        b"d1 FETCH 1:* BO",
                    ]
                    + [b"d1 FETCH 1:* (BODY[])\r\n", b"d1 LOGOUT\r\n", b""]
                )
            )
        connection.abort()

    def possible():
        with contextlib.ExitStack() as stack:
            try:
                for _ in range(LIMIT):
                    stack.enter_context(server.connect(account, "INBOX"))
            except (wire.ProtocolError, OSError):
                return False
            return True

    until(possible, 20, f"{LIMIT} connections again after {LIMIT * 2} died")
    with server.connect(account, "INBOX") as connection:
        equal(len(wire.messages(connection)), 3, "messages: nothing half appended is visible")


# --- many connections, and being told ---


@case
def sixty_four_idle_connections_are_all_told(server):
    account = server.account()
    with contextlib.ExitStack() as stack:
        idle = []
        for _ in range(LIMIT):
            connection = stack.enter_context(server.connect(account, "INBOX"))
            idle.append((connection, connection.idle()))
        one_too_many(server, account)
        server.deliver([f"{account.user}@example.com"], SMALL)
        for connection, _ in idle:
            equal(connection.wait_for("EXISTS").number, 1, "EXISTS told during IDLE")
        for connection, tag in idle:
            connection.done(tag)
        first = idle[0][0]
        first.ok("STORE 1 +FLAGS (\\Seen $Told)")
        for connection, _ in idle[1:]:
            flags = connection.ok("NOOP").fetches()[1]["FLAGS"]
            assert {"\\Seen", "$Told"} <= set(flags), flags
        first.logout()
        until(lambda: connects(server, account), 10, "room for one more after one left")


def one_too_many(server, account):
    """The 65th is told so in plain words, and is no failed login."""
    try:
        connection = server.connect()
        result = connection.command(f"LOGIN {wire.quote(account.user)} {wire.quote(account.password)}")
    except wire.ProtocolError as error:
        contains(str(error), "LIMIT", "the answer to one connection too many")
        return
    equal(result.status, "NO", "one login too many")
    contains([c.upper() for c in result.code or []], "LIMIT", "the response code of one login too many")
    connection.close()


def connects(server, account):
    try:
        server.connect(account).close()
        return True
    except (wire.ProtocolError, OSError):
        return False


@case
def an_idle_client_is_told_at_once(server):
    """From the sender's OK to the other client's line; printed, and bounded for Columba."""
    account = server.account()
    teller = server.connect(account, "INBOX")
    listener = server.connect(account, "INBOX")
    tag = listener.idle()
    rounds = 200 if server.is_columba else 5
    appended, flagged = [], []
    for number in range(rounds):
        teller.append("INBOX", SMALL)
        acknowledged = time.monotonic()
        equal(listener.wait_for("EXISTS").number, number + 1, "EXISTS")
        appended.append(max(0.0, time.monotonic() - acknowledged))
        teller.ok(f"STORE {number + 1} +FLAGS.SILENT (\\Flagged)")
        acknowledged = time.monotonic()
        equal(listener.wait_for("FETCH").number, number + 1, "FETCH of the flags")
        flagged.append(max(0.0, time.monotonic() - acknowledged))
    listener.done(tag)
    for what, times in (("new message", appended), ("flag", flagged)):
        times.sort()
        p50, p99 = statistics.median(times) * 1000, times[int(len(times) * 0.99) - 1] * 1000
        print(f"        told of a {what}: p50 {p50:.2f} ms, p99 {p99:.2f} ms, most {times[-1] * 1000:.2f} ms")
        if server.is_columba:
            assert p50 < 20 and p99 < 200, f"told of a {what} after {p50:.1f} ms (p50), {p99:.1f} ms (p99)"
    teller.logout()
    listener.logout()


@case
def done_and_the_next_command_in_one_packet(server):
    account, _ = filled(server)
    connection = server.connect(account, "INBOX")
    for _ in range(20):
        tag = connection.idle()
        connection.send(b"DONE\r\nn1 NOOP\r\nn2 FETCH 1 (UID)\r\n")
        for one, result in connection.finish_all([tag, "n1", "n2"], in_order=server.is_columba).items():
            equal(result.status, "OK", one)
    tag = connection.idle()
    connection.send(b"d1 NOOP\r\n")
    said = connection.response()
    assert said.status in ("BAD", "BYE"), f"a command instead of DONE was answered {said.raw!r}"
    connection.close()


@case
def expunges_wait_for_a_command_that_may_tell_them(server):
    account, octets = filled(server, 5)
    one, two = server.connect(account, "INBOX"), server.connect(account, "INBOX")
    one.ok("STORE 1:2 +FLAGS.SILENT (\\Deleted)")
    one.ok("EXPUNGE")
    for command in ("FETCH 1:5 (UID)", "STORE 5 +FLAGS (\\Seen)", "SEARCH ALL"):
        result = two.ok(command)
        equal(result.of("EXPUNGE"), [], f"EXPUNGE told during {command}")
    equal(two.ok("FETCH 5 (UID BODY.PEEK[])").fetches()[5]["BODY[]"], octets[4], "sequence numbers have not moved")
    told = [r.number for r in two.ok("NOOP").of("EXPUNGE")]
    contains(([1, 1], [2, 1]), told, "EXPUNGE at NOOP")
    equal(two.ok("FETCH 3 (UID)").fetches()[3]["UID"], "5", "sequence numbers after it")
    one.logout()
    two.logout()


@case
def twenty_megabytes_go_in_and_out(server):
    account = server.account()
    connection = server.connect(account, "INBOX")
    _, octets = mail.Mail(45).message(size=2000)
    octets += b"".join(b"%09d of a message that is twenty megabytes long, in lines.\r\n" % n for n in range(330_000))
    started = time.monotonic()
    connection.append("INBOX", octets)
    appended = time.monotonic()
    equal(connection.ok("UID FETCH 1 (UID BODY.PEEK[])").by_uid()[1]["BODY[]"], octets, "the message")
    print(f"        {len(octets)} octets: in {appended - started:.2f} s, out {time.monotonic() - appended:.2f} s")
    part = connection.ok(f"UID FETCH 1 (UID BODY.PEEK[]<{len(octets) - 1000}.5000>)").by_uid()[1]
    equal(part[f"BODY[]<{len(octets) - 1000}>"], octets[-1000:], "its last 1,000 octets")
    connection.logout()


@case
def a_server_that_stops_says_bye(server):
    account, _ = filled(server)
    idle = server.connect(account, "INBOX")
    idle.idle()
    quiet = server.connect(account, "INBOX")
    server.stop()
    for connection in (idle, quiet):
        said = connection.closed()
        assert any(r.status == "BYE" for r in said), f"no BYE at shutdown: {[r.raw for r in said]}"
    server.start()
    with server.connect(account, "INBOX") as connection:
        equal(len(wire.messages(connection)), 3, "messages after a restart")


main(__name__)
