"""A raw IMAP connection: sends octets, reads responses strictly, hides nothing.

For what client libraries hide: pipelining, literals, what comes before STARTTLS, pushes during IDLE, answers nobody
reads. The reader accepts only what RFC 9051 §9 (and RFC 3501 §9) allow a server to say: CRLF line ends, one space
between things, legal quoted strings, balanced lists; anything else raises ProtocolError with the octets. Knows no
server; where one listens comes from servers.py.
"""

import base64
import re
import socket
import ssl
import time
from dataclasses import dataclass, field

DEADLINE = 30.0
ATOM_END = b' (){"\r\n'
SECTIONED = (b"BODY", b"BINARY", b"BINARY.SIZE")
STATUSES = ("OK", "NO", "BAD", "BYE", "PREAUTH")


class ProtocolError(AssertionError):
    """The server said what no IMAP server may say, or closed the connection."""


class NonSync(bytes):
    """Octets to be sent as a non-synchronising literal, `{n+}` (RFC 7888)."""


class Literal8(bytes):
    """Octets to be sent as a synchronising `~{n}` literal (RFC 3516)."""


class Refused(Exception):
    """The server answered a literal's announcement with the command's end; `result` has it."""

    def __init__(self, result):
        super().__init__(result.end.raw.decode("utf-8", "replace"))
        self.result = result


@dataclass
class Response:
    """One response: tagged, untagged or a continuation request; `raw` has all its octets, literals inline."""

    raw: bytes
    tag: str
    status: str | None = None
    code: list | None = None
    text: str = ""
    kind: str = ""
    number: int | None = None
    data: list = field(default_factory=list)

    def items(self):
        """The name-value pairs of a FETCH response, names in capitals."""
        pairs = self.data[0]
        if len(pairs) % 2:
            raise ProtocolError(f"FETCH with an odd number of things: {self.raw[:300]!r}")
        return {pairs[i].upper(): pairs[i + 1] for i in range(0, len(pairs), 2)}


@dataclass
class Result:
    """The tagged end of a command, and everything untagged that came while it ran."""

    end: Response
    untagged: list

    @property
    def status(self):
        return self.end.status

    @property
    def code(self):
        return self.end.code

    def of(self, kind):
        return [r for r in self.untagged if r.kind == kind or (r.status == kind)]

    def fetches(self):
        """Sequence number -> items, all FETCH responses of one message merged."""
        merged = {}
        for response in self.of("FETCH"):
            merged.setdefault(response.number, {}).update(response.items())
        return merged

    def by_uid(self):
        return {int(items["UID"]): items for items in self.fetches().values() if "UID" in items}

    def numbers(self, kind="SEARCH"):
        return sorted(int(n) for r in self.of(kind) for n in r.data)

    def untagged_code(self, name):
        """The response code `name` of an untagged OK, as a list of its words."""
        for response in self.untagged:
            if response.code and response.code[0].upper() == name:
                return response.code
        return None


class Parser:
    """Takes the octets of one response apart."""

    def __init__(self, raw, utf8):
        self.raw, self.at, self.utf8 = raw, 0, utf8

    def fail(self, why):
        raise ProtocolError(f"{why} at octet {self.at} of {self.raw[:400]!r}")

    def peek(self):
        return self.raw[self.at : self.at + 1]

    def expect(self, octets):
        if not self.raw.startswith(octets, self.at):
            self.fail(f"expected {octets!r}")
        self.at += len(octets)

    def atom(self):
        start = self.at
        while self.at < len(self.raw) and self.raw[self.at] not in ATOM_END:
            if self.raw[self.at] == ord("[") and self.raw[start : self.at].upper() in SECTIONED:
                # A section has spaces in it: BODY[HEADER.FIELDS (From "To")]
                end = self.raw.find(b"]", self.at)
                if end < 0:
                    self.fail("section without end")
                self.at = end
            elif self.raw[self.at] < 0x21 or self.raw[self.at] == 0x7F or (self.raw[self.at] > 0x7F and not self.utf8):
                self.fail("an octet that no atom may have")
            self.at += 1
        if start == self.at:
            self.fail("expected something")
        return self.raw[start : self.at].decode()

    def quoted(self):
        self.expect(b'"')
        out = bytearray()
        while True:
            octet = self.peek()
            if octet in (b"", b"\r", b"\n", b"\0"):
                self.fail("quoted string broken off")
            self.at += 1
            if octet == b'"':
                break
            if octet == b"\\":
                octet = self.peek()
                if octet not in (b'"', b"\\"):
                    self.fail('only \\ and " may be escaped in a quoted string')
                self.at += 1
            elif octet > b"\x7f" and not self.utf8:
                self.fail("8-bit in a quoted string and UTF-8 is not enabled")
            out += octet
        return bytes(out)

    def literal(self):
        match = re.compile(rb"~?\{(\d+)\}\r\n").match(self.raw, self.at)
        if not match:
            self.fail("expected a literal")
        self.at = match.end() + int(match[1])
        octets = self.raw[match.end() : self.at]
        if b"\0" in octets and not match[0].startswith(b"~"):
            self.fail("NUL in a literal that is no literal8")
        return octets

    def value(self):
        octet = self.peek()
        if octet == b"(":
            return self.list()
        if octet == b'"':
            return self.quoted()
        if octet == b"{" or self.raw.startswith(b"~{", self.at):
            return self.literal()
        atom = self.atom()
        return None if atom.upper() == "NIL" else atom

    def list(self):
        self.expect(b"(")
        values = []
        if self.peek() == b")":
            self.at += 1
            return values
        while True:
            values.append(self.value())
            if self.peek() == b")":
                self.at += 1
                return values
            # BODYSTRUCTURE of a multipart: (…)(…) "MIXED" has no space between the parts.
            if not (self.peek() == b"(" and isinstance(values[-1], list)):
                self.expect(b" ")

    def values(self):
        """The rest of the response: things with one space between them."""
        values = []
        while self.at < len(self.raw):
            self.expect(b" ")
            values.append(self.value())
        return values

    def text(self, response):
        """resp-text: `[CODE args] words` (RFC 9051 §7.1)."""
        self.expect(b" ")
        if self.peek() == b"[":
            end = self.code_end()
            inner = Parser(self.raw[self.at + 1 : end], self.utf8)
            response.code = [inner.atom(), *inner.values()]
            self.at = end + 1
            if self.at < len(self.raw):
                self.expect(b" ")
        words = self.raw[self.at :]
        if b"\r" in words or b"\n" in words or b"\0" in words:
            self.fail("line ends or NUL in the text")
        response.text = words.decode("utf-8")

    def code_end(self):
        """The `]` that ends a response code: one in a quoted string does not, one in a flag does not exist."""
        at, quoted = self.at, False
        while at < len(self.raw):
            octet = self.raw[at : at + 1]
            if octet == b'"':
                quoted = not quoted
            elif octet == b"\\" and quoted:
                at += 1
            elif octet == b"]" and not quoted:
                return at
            at += 1
        self.fail("response code without end")


def parse_response(raw, utf8=False):
    """One response (without its final CRLF) as a Response."""
    if raw.startswith(b"+"):
        if not raw.startswith(b"+ "):
            raise ProtocolError(f"continuation request without a space: {raw!r}")
        return Response(raw, "+", text=raw[2:].decode("utf-8", "replace"))
    parser = Parser(raw, utf8)
    response = Response(raw, parser.atom())
    parser.expect(b" ")
    word = parser.atom()
    if word.upper() in STATUSES:
        response.status = response.kind = word.upper()
        parser.text(response)
        return response
    if response.tag != "*":
        parser.fail("a tagged response that is no OK, NO or BAD")
    if word.isdigit():
        response.number = int(word)
        parser.expect(b" ")
        word = parser.atom()
    response.kind = word.upper()
    response.data = parser.values()
    return response


def mutf7(name):
    """A mailbox name in modified UTF-7 (RFC 3501 §5.1.3)."""
    out, run = [], []

    def flush():
        if run:
            encoded = base64.b64encode("".join(run).encode("utf-16-be")).rstrip(b"=").replace(b"/", b",")
            out.append("&" + encoded.decode() + "-")
            run.clear()

    for char in name:
        if " " <= char <= "~":
            flush()
            out.append("&-" if char == "&" else char)
        else:
            run.append(char)
    flush()
    return "".join(out)


def quote(name):
    """An astring as a quoted string, in modified UTF-7."""
    return '"' + mutf7(name).replace("\\", "\\\\").replace('"', '\\"') + '"'


class Wire:
    """A connection. Everything waits for the server at most `deadline` seconds and raises then."""

    def __init__(self, host, port, tls=None, deadline=DEADLINE, receive_buffer=None):
        self.deadline = deadline
        self.sock = socket.socket()
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(deadline)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.connect((host, port))
        if tls:
            self.sock = tls.wrap_socket(self.sock, server_hostname="localhost")
        self.buffer = bytearray()
        self.tags = 0
        self.utf8 = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def abort(self):
        """Ends the connection with a reset, as a client that lost its network would seem to."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()

    # --- octets ---

    def send(self, octets):
        self.sock.sendall(octets)

    def fill(self, end):
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"nothing more within the deadline; so far {bytes(self.buffer[:300])!r}")
        self.sock.settimeout(left)
        try:
            octets = self.sock.recv(262144)
        except TimeoutError:
            raise TimeoutError(f"nothing more within the deadline; so far {bytes(self.buffer[:300])!r}") from None
        finally:
            self.sock.settimeout(self.deadline)
        if not octets:
            raise ProtocolError(f"the server closed the connection; unfinished: {bytes(self.buffer[:300])!r}")
        self.buffer += octets

    def line(self, end):
        """One line without CRLF."""
        searched = 0
        while (at := self.buffer.find(b"\n", searched)) < 0:
            searched = len(self.buffer)
            self.fill(end)
        line = bytes(self.buffer[:at])
        del self.buffer[: at + 1]
        if not line.endswith(b"\r"):
            raise ProtocolError(f"a line that ends in a bare LF: {line[:300]!r}")
        line = line[:-1]
        if b"\r" in line:
            raise ProtocolError(f"a CR inside a line: {line[:300]!r}")
        return line

    def exactly(self, count, end):
        while len(self.buffer) < count:
            self.fill(end)
        octets = bytes(self.buffer[:count])
        del self.buffer[:count]
        return octets

    # --- responses ---

    def response(self, seconds=None):
        """The next response, whatever it is."""
        end = time.monotonic() + (seconds or self.deadline)
        parts = [self.line(end)]
        while match := re.search(rb"\{(\d+)\}\Z", parts[-1]):
            parts.append(b"\r\n" + self.exactly(int(match[1]), end))
            parts.append(self.line(end))
        return parse_response(b"".join(parts), self.utf8)

    def greeting(self):
        response = self.response()
        if response.tag != "*" or response.status not in ("OK", "PREAUTH", "BYE"):
            raise ProtocolError(f"no greeting: {response.raw!r}")
        return response

    def silent(self, seconds):
        """Asserts that the server says nothing for so long."""
        try:
            said = self.response(seconds)
        except TimeoutError:
            return
        raise ProtocolError(f"the server should have said nothing and said {said.raw[:300]!r}")

    def closed(self, seconds=None):
        """Asserts that the server ends the connection; returns what it said before that."""
        said = []
        while True:
            try:
                said.append(self.response(seconds))
            except (ProtocolError, ConnectionError, ssl.SSLError) as end:
                if isinstance(end, ProtocolError) and "closed the connection" not in str(end):
                    raise
                return said

    # --- commands ---

    def tag(self):
        self.tags += 1
        return f"a{self.tags}"

    def start(self, *parts):
        """Sends a command and returns its tag. Strings go as they are, bytes as literals; Refused if one is."""
        tag = self.tag()
        out = bytearray(tag.encode() + b" ")
        for part in parts:
            if isinstance(part, str):
                out += part.encode("utf-8")
                continue
            if isinstance(part, NonSync):
                out += b"{%d+}\r\n" % len(part) + part
                continue
            out += (b"~" if isinstance(part, Literal8) else b"") + b"{%d}\r\n" % len(part)
            self.send(bytes(out))
            self.continuation()
            out = bytearray(part)
        self.send(bytes(out) + b"\r\n")
        return tag

    def continuation(self):
        """Waits for `+`; raises Refused when the command ends instead."""
        untagged = []
        while True:
            response = self.response()
            if response.tag == "+":
                return
            if response.tag != "*":
                raise Refused(Result(response, untagged))
            untagged.append(response)

    def finish(self, tag, seconds=None):
        """Reads up to the tagged end of `tag`."""
        untagged = []
        while True:
            response = self.response(seconds)
            if response.tag == tag:
                return Result(response, untagged)
            if response.tag != "*":
                raise ProtocolError(f"waiting for {tag}, got {response.raw[:300]!r}")
            untagged.append(response)

    def finish_all(self, tags, in_order=True):
        """Reads the ends of commands sent at once: tag -> Result; untagged responses go to the end that follows them.

        A server may answer out of order where nothing depends on it (RFC 9051 §5.5); `in_order` forbids it.
        """
        results, untagged, left = {}, [], list(tags)
        while left:
            response = self.response()
            if response.tag == "*":
                untagged.append(response)
                continue
            if response.tag not in left or (in_order and response.tag != left[0]):
                raise ProtocolError(f"waiting for {left[:3]}, got {response.raw[:300]!r}")
            left.remove(response.tag)
            results[response.tag] = Result(response, untagged)
            untagged = []
        return results

    def command(self, *parts, seconds=None):
        """Sends a command, reads its end."""
        try:
            return self.finish(self.start(*parts), seconds)
        except Refused as refused:
            return refused.result

    def expect(self, status, *parts, seconds=None):
        result = self.command(*parts, seconds=seconds)
        if result.status != status:
            said = parts[0] if isinstance(parts[0], str) else repr(parts[0])
            raise ProtocolError(f"{said[:200]}: wanted {status}, got {result.end.raw[:300]!r}")
        return result

    def ok(self, *parts, seconds=None):
        return self.expect("OK", *parts, seconds=seconds)

    def no(self, *parts):
        return self.expect("NO", *parts)

    def bad(self, *parts):
        return self.expect("BAD", *parts)

    # --- conveniences ---

    def capabilities(self):
        result = self.ok("CAPABILITY")
        return {word.upper() for response in result.of("CAPABILITY") for word in response.data}

    def starttls(self, context):
        self.ok("STARTTLS")
        if self.buffer:
            raise ProtocolError(f"octets after the OK of STARTTLS: {bytes(self.buffer)!r}")
        self.sock = context.wrap_socket(self.sock, server_hostname="localhost")

    def login(self, user, password):
        return self.ok(f"LOGIN {quote(user)} {quote(password)}")

    def select(self, name="INBOX"):
        return self.ok(f"SELECT {quote(name)}")

    def append(self, name, message, flags="", date=None):
        """The UID of the new message (APPENDUID, RFC 4315), or None when the server gave none."""
        options = (f" ({flags})" if flags else "") + (f' "{date}"' if date else "")
        code = self.ok(f"APPEND {quote(name)}{options} ", message).code
        return int(code[2]) if code and code[0].upper() == "APPENDUID" else None

    def idle(self):
        """Begins IDLE; returns the tag to finish with after done()."""
        tag = self.start("IDLE")
        self.continuation()
        return tag

    def done(self, tag):
        self.send(b"DONE\r\n")
        return self.finish(tag)

    def wait_for(self, kind, seconds=None):
        """The next untagged response of this kind; what comes before it is dropped."""
        end = time.monotonic() + (seconds or self.deadline)
        while True:
            response = self.response(max(0.001, end - time.monotonic()))
            if response.kind == kind:
                return response

    def logout(self):
        result = self.ok("LOGOUT")
        if not result.of("BYE"):
            raise ProtocolError("LOGOUT without BYE (RFC 9051 §6.1.3)")
        self.close()


def messages(connection):
    """UID -> (octets, flags) of the whole selected mailbox."""
    answer = connection.ok("UID FETCH 1:* (UID FLAGS BODY.PEEK[])").by_uid()
    return {uid: (items["BODY[]"], frozenset(items["FLAGS"])) for uid, items in answer.items()}
