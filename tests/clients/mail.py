"""Messages for the tests: seeded, of realistic shapes and sizes, each with an id of its own in header and body.

Knows how mail looks, nothing of servers or clients. All messages have CRLF line ends and no NUL; `unique(octets)` finds
the id again.
"""

import base64
import random
import re

WORDS = (
    "dove letter window harbour morning winter invoice meeting river yesterday contract garden answer question train "
    "mountain ticket summer project budget draft review station bridge paper notice island answer family weather"
).split()
FOREIGN = ("Grüße Übermorgen naïve façade журнал письмо 日本語 メール 한국어 Ελλάδα שלום 🐦 ✉️ straße Ærø").split()
NAMES = ["Ada Martin", "Grüner, Jürgen", "李小龍", "Иван Петров", 'O"Brien', "Zoë", ""]


def unique(octets):
    """The id of a generated message, or None."""
    match = re.search(rb"^X-Test-Id: (\S+)", octets, re.MULTILINE)
    return match[1].decode() if match else None


def encoded_word(text):
    return "=?utf-8?b?" + base64.b64encode(text.encode()).decode() + "?="


class Mail:
    """A source of messages; the same seed gives the same ones. Without quirks for clients that rewrite such headers."""

    def __init__(self, seed, prefix="m", quirks=True):
        self.rng = random.Random(seed)
        self.prefix = prefix
        self.quirks = quirks
        self.count = 0
        self.ids = ["<start@example.org>"]

    def words(self, octets):
        """Text lines of about so many octets."""
        lines, size = [], 0
        while size < octets:
            pool = FOREIGN if self.rng.random() < 0.05 else WORDS
            line = " ".join(self.rng.choice(pool) for _ in range(self.rng.randint(1, 12)))
            if self.rng.random() < 0.03:
                line = self.rng.choice([". a dot", "..", ".", "From here on", ">From there", "-- ", "\ttab", "a  b "])
            lines.append(line)
            size += len(line) + 2
        return "\r\n".join(lines) + "\r\n"

    def size(self):
        """Lognormal with a median of 3 KB, at most 200 KB."""
        return min(200_000, int(self.rng.lognormvariate(8, 1.0)))

    def headers(self, identity, message_id):
        rng = self.rng
        name = rng.choice(NAMES)
        shown = f'"{name}"' if name.isascii() and '"' not in name and name else encoded_word(name) if name else ""
        subject = " ".join(rng.choice(WORDS) for _ in range(rng.randint(0, 6)))
        if rng.random() < 0.2:
            subject = encoded_word(subject + " " + rng.choice(FOREIGN))
        elif self.quirks and rng.random() < 0.1:
            subject += " " + rng.choice(FOREIGN)  # raw 8-bit in a header
        lines = [
            f"From: {shown} <from{rng.randint(1, 99)}@example.org>".replace("  ", " "),
            "To: " + ", ".join(f"to{rng.randint(1, 999)}@example.com" for _ in range(rng.randint(1, 3))),
            f"Subject: {subject}",
            f"Date: {rng.randint(1, 28)} {rng.choice(['Jan', 'May', 'Dec'])} {rng.randint(1999, 2026)} "
            f"{rng.randint(0, 23):02}:{rng.randint(0, 59):02}:00 {rng.choice(['+0000', '-0800', '+0530'])}",
            f"Message-ID: {message_id}",
            f"X-Test-Id: {identity}",
            "MIME-Version: 1.0",
        ]
        if rng.random() < 0.3:
            references = [rng.choice(self.ids) for _ in range(rng.randint(1, 60))]
            lines.append(f"In-Reply-To: {references[-1]}")
            lines.append("References: " + "\r\n ".join(references))
        if rng.random() < 0.03:
            lines.append("X-Long: " + "x" * rng.randint(900, 5000))
        if rng.random() < 0.1:
            lines.append("X-Folded: " + "\r\n\t".join(rng.choice(WORDS) for _ in range(200)))
        if self.quirks and rng.random() < 0.05:
            lines.append("X-Empty:")
        return lines

    def part(self, octets):
        """One leaf part: header lines and body."""
        kind = self.rng.choice(["7bit", "8bit", "8bit", "quoted-printable", "base64", "html"])
        text = self.words(octets)
        if kind == "base64":
            body = base64.encodebytes(self.rng.randbytes(octets * 3 // 4)).replace(b"\n", b"\r\n")
            name = encoded_word(self.rng.choice(FOREIGN) + ".bin")
            return [
                f'Content-Type: application/octet-stream; name="{name}"',
                "Content-Transfer-Encoding: base64",
                'Content-Disposition: attachment; filename="file.bin"',
            ], body
        if kind == "html":
            text = "<html><body><p>" + text.replace("\r\n", "<br>\r\n") + "</p></body></html>\r\n"
            return ["Content-Type: text/html; charset=utf-8", "Content-Transfer-Encoding: 8bit"], text.encode()
        if kind == "7bit":
            return ["Content-Type: text/plain"], text.encode("ascii", "replace")
        if kind == "quoted-printable":
            body = b"".join(
                bytes([c]) if 32 <= c < 127 and c != 61 or c in b"\r\n" else b"=%02X" % c for c in text.encode()
            )
            return ["Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: quoted-printable"], body
        charset, octets = (
            ("utf-8", text.encode()) if self.rng.random() < 0.7 else ("latin1", text.encode("latin1", "replace"))
        )
        return [f"Content-Type: text/plain; charset={charset}", "Content-Transfer-Encoding: 8bit"], octets

    def multipart(self, octets, depth=0):
        boundary = f"=_{self.rng.getrandbits(64):x}"
        kind = self.rng.choice(["mixed", "alternative", "related"])
        out = bytearray(b"This is a multipart message.\r\n")
        for _ in range(self.rng.randint(1, 4)):
            if depth < 3 and self.rng.random() < 0.2:
                lines, body = self.multipart(octets // 3, depth + 1)
            elif self.rng.random() < 0.1:
                lines, inner = ["Content-Type: message/rfc822"], self.part(octets // 3)
                body = "\r\n".join(["Subject: inner", *inner[0], "", ""]).encode() + inner[1]
            else:
                lines, body = self.part(octets // 3)
            out += f"--{boundary}\r\n".encode() + "\r\n".join([*lines, "", ""]).encode() + body + b"\r\n"
        out += f"--{boundary}--\r\n".encode()
        return [f'Content-Type: multipart/{kind}; boundary="{boundary}"'], bytes(out)

    def message(self, size=None):
        """The next message: (id, octets)."""
        self.count += 1
        identity = f"{self.prefix}{self.count}"
        message_id = f"<{identity}.{self.rng.getrandbits(48):x}@example.org>"
        lines = self.headers(identity, message_id)
        self.ids = [*self.ids[-100:], message_id]
        octets = size if size is not None else self.size()
        more, body = self.multipart(octets) if self.rng.random() < 0.4 else self.part(octets)
        ending = f"-- {identity}\r\n".encode() if self.rng.random() < 0.95 else b""
        if size is None and self.rng.random() < 0.02:
            body, ending = b"", b""
        return identity, "\r\n".join([*lines, *more, "", ""]).encode() + body + ending

    def messages(self, count):
        return [self.message() for _ in range(count)]


def plain(identity, text="Hello.\r\n", subject="A plain message"):
    """A small message with nothing special in it."""
    return (
        f"From: Ada <ada@example.org>\r\nTo: Bob <bob@example.com>\r\nSubject: {subject}\r\n"
        f"Date: Mon, 7 Feb 1994 21:52:25 -0800\r\nMessage-ID: <{identity}@example.org>\r\nX-Test-Id: {identity}\r\n"
        f"\r\n{text}"
    ).encode()
