#!/usr/bin/env python3
"""Writes the awkward messages, *.eml, beside this file. Each one is a few lines here, so that what is odd in it can be
seen; what the server makes of it is in its .golden file, written by the test `golden` of crates/mime with BLESS=1.

In a message, lines end with CRLF wherever a newline stands here; \\r, \\n, \\0 and octets beyond ASCII are put in by
`raw`. Huge messages are made in the tests themselves.
"""
from pathlib import Path

HERE = Path(__file__).parent
MESSAGES = {}


def add(name, text, **raw):
    """Adds a message; `<<key>>` in it stands for the octets raw[key], put in after line ends became CRLF."""
    octets = text.encode("utf-8").replace(b"\n", b"\r\n")
    for key, value in raw.items():
        marker = b"<<" + key.encode() + b">>"
        assert marker in octets, (name, key)
        octets = octets.replace(marker, value)
    assert name not in MESSAGES
    MESSAGES[name] = octets


ADDRESSES = "From: Sender <sender@example.org>\nTo: reader@example.com\n"

# --- the whole message ---
add("empty", "")
add("only-a-blank-line", "\n")
add("only-header", "Subject: no body\nFrom: a@b\n")
add("only-header-without-line-end", "Subject: no body")
add("only-body", "This line is no header field\nneither: is this, as the first line decides\n\nText.\n")
add("header-without-blank-line", f"{ADDRESSES}Subject: the blank line is missing\nThis line has no colon\nnor has this\n")
add("rubbish-in-the-header", f"{ADDRESSES}this is no field\nSubject: still a field\n\ttwo lines of it\n: no name\nX : space\n\nText.\n")
add("mbox-line-first", f"From sender@example.org Thu Jan  1 00:00:00 1970\n{ADDRESSES}Subject: mbox\n\nText.\n")
MESSAGES["bare-lf"] = (
    b"Subject: bare\n LF\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\nContent-Type: text/html\n\ntwo\n\n--b--\n"
)
MESSAGES["mixed-line-ends"] = (
    b"Subject: mixed\r\nContent-Type: multipart/mixed;\n boundary=b\r\n\npreamble\n--b\r\n\none\r\n\n--b\n\r\ntwo\n\r\n--b--\repilogue\r"
)
add("bare-cr", "Subject: a<<cr>>b\nX: y\n\nline<<cr>>line\n", cr=b"\r")
add("nul-octets", "Subject: a<<nul>>b\nFrom: x<<nul>>y <a<<nul>>@b>\nContent-Type: text/plain; charset=utf-8\n\n<<nul>>text<<nul>>\n", nul=b"\0")
add("space-line-before-body", "Subject: the line below has a space\n \nnot: yet the body\n\nText.\n")
add("no-date-no-from", "Subject: what is missing is NIL\nTo: a@b\n\nText.\n")
add("empty-fields", "Date:\nSubject: \nFrom:\nTo: \nCc: ;\nIn-Reply-To:\nMessage-ID:\nReferences:\n\nText.\n")
add("twice-the-same-field", "Subject: first\nSubject: second\nDate: Mon, 1 Jan 2001 00:00:00 +0000\nDate: Tue, 2 Jan 2001 00:00:00 +0000\n"
    "To: a@b\nCc: c@d\nTo: e@f\nTo:\nContent-Type: text/html\nContent-Type: text/plain\n\n<p>\n")

# --- header text ---
add("subject-8bit-latin1", f"{ADDRESSES}Subject: Gr<<u>>n <<e>> and more\n\nText.\n", u=b"\xfc", e=b"\xa4\x80")
add("subject-utf8", f"{ADDRESSES}Subject: Grüße aus Köln, 你好\n\nText.\n")
add("utf8-addresses", "From: Jörg <jörg@bücher.example>\nTo: 用户@例子.example\nCc: =?utf-8?q?J=C3=B6rg?= <joerg@example.org>\n"
    "Reply-To: \"Müller, Max\" (Käse) <max@example.org>\nMessage-ID: <ä@example.org>\n\nText.\n")
add("encoded-words", f"{ADDRESSES}Subject: =?iso-8859-1?q?Gr=FC=DFe?= =?utf-8?b?w6TDtsO8?= plain =?utf-8?q?=F0=9F?=\n =?utf-8?q?=98=80?= =?x-none?q?x?=\n"
    "X: y\n\nText.\n")
add("encoded-words-odd", f"{ADDRESSES}Subject: =?utf-8?q?a b?= =?utf-8?q?unclosed =?utf-8?x?c?= =?utf-8?b?!!?= x=?utf-8?q?stuck?=y =?utf-8*de?q?lang?= =??q?z?=\n\nText.\n")
add("encoded-word-in-quotes", "From: \"=?utf-8?q?J=C3=B6rg?=\" <a@b>\nTo: =?utf-8?q?Doe,_John?= <c@d>, =?utf-8?q?=22?= <e@f>\n\nText.\n")
add("iso-2022-jp", "Subject: =?ISO-2022-JP?B?GyRCRnxLXDhsGyhC?= =?iso-2022-jp?b?GyRCJUYlOSVIGyhC?=\nContent-Type: text/plain; charset=iso-2022-jp\n\n<<jp>>\n", jp=b"\x1b$BF|K\\8l\x1b(B")
add("quotes-and-backslashes", "Subject: \"quoted\" \\ back\\slash \"\nFrom: \"A \\\"B\\\" \\\\ C\" <\"a \\\"b\"@example.org>\n\nText.\n")
add("long-subject", "Subject: " + "word " * 1000 + "\nX: y\n\nText.\n")
add("folded-everything", "Subject:\n Folded\n\tsubject \n  here\nFrom:\n a\n @\n b\nDate:\n Mon,\n 1 Jan 2001\n 00:00:00\n +0000\n\nText.\n")

# --- addresses ---
add("groups", "From: a@b\nTo: A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;\nCc: undisclosed-recipients:;\n"
    "Bcc: open: x@y, z@w\n\nText.\n")
add("addresses-odd", "From: root\nSender: John Doe\nReply-To: <>\nTo: <@a,@b:c@d>, a@b@c, @nowhere, \"unclosed <u@v>, w@x\n"
    "Cc: a@b (Comment (nested) name), John (x) Doe <j@d>, a @ b . c, ;, ,\nBcc: <unclosed@angle, next@one\n\nText.\n")
add("sender-differs", "From: a@b, c@d\nSender: Secretary <s@b>\nReply-To: list@b\nTo: x@y\n\nText.\n")

# --- ids and dates ---
add("message-ids-odd", "Message-ID: <\"quoted id\"@example.org> (comment)\nIn-Reply-To: Your message of Monday <1@x> <2@x>\n"
    "References: <1@x>,<2@\n x> junk <unclosed@x <3@x>\n\nText.\n")
add("message-id-bare", "Message-ID: bare.id@example.org\nIn-Reply-To: \"no id\"\n\nText.\n")
add("date-obsolete", "Date: Fri, 21 Nov 97 09(comment):   55  :  06 -0600\n\nText.\n")
add("date-wrong", "Date: Thursday, 32 Smarch 20001 25:61\n\nText.\n")
add("reply-subject", "Subject: [list] Re: =?utf-8?q?Re=3A?= [list] Gr=?utf-8?q?=C3=BC?=n (fwd) (FWD)\n\nText.\n")

# --- one part ---
add("type-without-subtype", "Content-Type: text\n\nText.\n")
add("type-rubbish", "Content-Type: ; charset=utf-8\nContent-Transfer-Encoding:\n\nText.\n")
add("type-with-comments", "Content-Type: (c) Text (c) / plain ; charset=us-ascii (Plain text) ; format=flowed\n\nText.\n")
add("all-content-fields", "Content-Type: image/png; name=a.png\nContent-ID: <id@x>\nContent-Description: =?utf-8?q?a_description?=\n"
    "Content-Transfer-Encoding: BASE64\nContent-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\nContent-Disposition: inline; filename=\"a \\\"b\\\".png\"; size=4\n"
    "Content-Language: de, en-GB\nContent-Location: http://example.org/\n a.png\n\nAAAA\n")
add("disposition-odd", "Content-Type: application/pdf;\n name=my file (1).pdf;; junk; =x; empty=\nContent-Disposition: ; filename=x\n\nText.\n")
add("parameters-8bit", "Content-Type: text/plain; charset=utf-8; name=\"Grüße.txt\"\nContent-Disposition: attachment; filename=\"Gr<<u>>n.txt\"\n"
    "Content-Description: Grüße\n\nText.\n", u=b"\xfc")
add("rfc2231", "Content-Type: application/x-stuff; title*0*=us-ascii'en'This%20is%20even%20more%20;\n title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2=\"isn't it!\"\n"
    "Content-Disposition: attachment; filename=fallback.txt; filename*=UTF-8''Gr%C3%BC%C3%9Fe.txt\n\nText.\n")
add("rfc2231-odd", "Content-Type: a/b; x*1=b; x*0=a; x*3=lost; y*0*=iso-8859-1''%fc; y*1*=%e4; z*1=no-start; *=w; v*x=v; u*=none%20\n\nText.\n")
add("encoding-unknown", "Content-Type: text/plain\nContent-Transfer-Encoding: x-uuencode\n\nbegin 644 a\n")
add("encoding-twice", "Content-Transfer-Encoding: quoted-printable (comment)\nContent-Transfer-Encoding: base64\n\nGr=C3=BC=\n=C3=9Fe =\n\n=\n")
add("base64-rubbish", "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\nR3L!!!DvMOf\n*** ZSBhbGxl\nbg==\n-- \nA footer added by a list\n")
add("base64-empty", "Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n")
add("quoted-printable-broken", "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\nA=ZZ =fc=FC = \nB=\n   \t\n=4")
add("charset-lies", "Content-Type: text/plain; charset=us-ascii\n\nGrüße, and Gr<<u>>n\n", u=b"\xfc")
add("utf-16", "Content-Type: text/plain; charset=utf-16le\nContent-Transfer-Encoding: base64\n\nRwByAPwA3wBlAA==\n")

# --- multiparts ---
add("mixed", f"{ADDRESSES}Subject: two parts\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"=_b\"\n\nThe preamble.\n"
    "--=_b\n\nFirst.\n--=_b\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n<p>Gr=C3=BC=C3=9Fe</p>\n\n--=_b--\nThe epilogue.\n")
add("boundary-missing", "Content-Type: multipart/mixed\n\n--b\n\nText.\n--b--\n")
add("boundary-empty", "Content-Type: multipart/mixed; boundary=\"\"\n\n--\n\nText.\n----\n")
add("boundary-never", "Content-Type: multipart/mixed; boundary=b\n\nThe boundary never comes.\n")
add("boundary-only-end", "Content-Type: multipart/mixed; boundary=b\n\n--b--\n\nEpilogue.\n")
add("boundary-not-closed", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nOne.\n--b\nContent-Type: image/png\n\nTwo.\n")
add("boundary-at-the-end", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nOne.\n--b")
add("boundary-rfc2231", "Content-Type: multipart/mixed; boundary*0*=us-ascii''a%20; boundary*1=b\n\n--a b\n\nOne.\n--a b--\n")
add("boundary-with-spaces", "Content-Type: multipart/mixed; boundary=\"a b \"\n\n--a b \t\n\nOne.\n--a b--  \nEpilogue.\n")
add("boundary-at-once", "Content-Type: multipart/mixed; boundary=b\n\n--b\n--b\n\n--b\n\n\n--b\nX: y\n--b--\n")
add("boundary-prefix", "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=ab\n\n--ab\n\nInner one.\n--ab\n\nInner two.\n"
    "--ab--\n--a\n\nOuter two.\n--a--\n")
add("boundary-prefix-reversed", "Content-Type: multipart/mixed; boundary=ab\n\n--ab\nContent-Type: multipart/mixed; boundary=a\n\n--a\n\nInner one.\n--ac\n\nBegins with a.\n"
    "--a--\n--ab\n\nOuter two.\n--ab--\n")
add("boundary-the-same", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/alternative; boundary=b\n\n--b\n\nInner.\n--b--\n--b\n\nOuter.\n--b--\n")
add("outer-boundary-ends-inner", "Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/mixed; boundary=i\n\n--i\n\nInner.\n--o\n\nOuter two.\n--o--\n"
    "--o\n\nAfter the end: epilogue.\n")
add("boundary-in-header", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html\n--b\nX: y\n\nText.\n--b--\n")
add("boundary-without-blank-line", "Subject: the blank line is missing\nContent-Type: multipart/mixed; boundary=b\n--b\n\nText.\n--b--\n")
add("not-quite-boundaries", "Content-Type: multipart/mixed; boundary=bound\n\n--b\n-bound\n --bound\n--boun\n--BOUND\n-- bound\n--bound\n\n--\n-- \n-\n---bound\nx--bound\n--bound--\n")
add("part-without-header", "Content-Type: multipart/mixed; boundary=b\n\n--b\nThe blank line is missing here.\n\nSecond paragraph.\n--b--\n")
add("digest", "Content-Type: multipart/digest; boundary=d\n\n--d\n\nFrom: a@b\nSubject: first\n\nText one.\n\n--d\nContent-Type: text/plain\n\nNot a message.\n"
    "--d\n\nSubject: second\nContent-Type: multipart/mixed; boundary=e\n\n--e\n\nDeep.\n--e--\n\n--d--\n")
add("nested-alternative", f"{ADDRESSES}Content-Type: multipart/mixed; boundary=1\n\n--1\nContent-Type: multipart/related; boundary=2\n\n--2\n"
    "Content-Type: multipart/alternative; boundary=3\n\n--3\nContent-Type: text/plain; charset=utf-8; format=flowed\n\nPlain\n--3\nContent-Type: text/html; charset=utf-8\n\n<b>HTML</b>\n--3--\n\n"
    "--2\nContent-Type: image/gif\nContent-ID: <1@x>\nContent-Transfer-Encoding: base64\n\nR0lGODlh\n--2--\n\n--1\nContent-Type: application/pdf\n"
    "Content-Disposition: attachment; filename=a.pdf\nContent-Transfer-Encoding: base64\n\nJVBERi0=\n--1--\n")

# --- messages in messages ---
add("message-in-message", f"{ADDRESSES}Subject: outer\nContent-Type: message/rfc822\n\nFrom: inner@x\nSubject: =?utf-8?q?inn=C3=A9r?=\nDate: Mon, 1 Jan 2001 00:00:00 +0000\n\nInner text.\n")
add("message-deep", "Subject: 1\nContent-Type: message/rfc822\n\nSubject: 2\nContent-Type: message/rfc822\n\nSubject: 3\nContent-Type: multipart/mixed; boundary=b\n\n"
    "--b\nContent-Type: message/rfc822\n\nSubject: 4\nContent-Type: message/rfc822\n\nSubject: 5\n\nThe end.\n--b--\n")
add("message-empty", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n--b\nContent-Type: message/rfc822\n--b\nContent-Type: message/rfc822\n\nno header here\n--b--\n")
add("message-base64", "Content-Type: message/rfc822; name=forwarded.eml\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeA0KDQp5\n")
add("message-global", "Subject: outer\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/global\nContent-Transfer-Encoding: 8bit\n\n"
    "From: Jörg <jörg@example.org>\nSubject: Grüße\n\nText.\n--b--\n")
add("message-global-base64", "Content-Type: message/global\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeA0KDQp5\n")
add("report", f"{ADDRESSES}Subject: Undelivered\nContent-Type: multipart/report; report-type=delivery-status; boundary=r\n\n--r\nContent-Description: Notification\n\nFailed.\n"
    "--r\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\nFinal-Recipient: rfc822; a@b\nAction: failed\n\n--r\nContent-Type: text/rfc822-headers\n\nSubject: it\n\n--r--\n")
add("external-body", "Content-Type: message/external-body; access-type=URL; URL=\"http://x/\"\n\nContent-Type: image/png\n\n")
add("partial", "Content-Type: message/partial; id=\"a@b\"; number=1; total=2\n\nSubject: x\n\ny\n")

for name, octets in MESSAGES.items():
    (HERE / f"{name}.eml").write_bytes(octets)
print(len(MESSAGES), "messages")
