"""The strict reader, read strictly: what it must understand, and what it must refuse."""

import sys

import wire
from cases import Counts, equal


def parsed(raw, utf8=False):
    return wire.parse_response(raw, utf8)


def responses_of_all_kinds():
    fetch = parsed(
        b'* 3 FETCH (UID 7 FLAGS (\\Seen $A) BODY[1.HEADER.FIELDS (From "To")]<0> {3}\r\na)b INTERNALDATE "x")'
    )
    equal(fetch.number, 3, "number")
    equal(fetch.items()["UID"], "7", "UID")
    equal(fetch.items()["FLAGS"], ["\\Seen", "$A"], "flags")
    equal(fetch.items()['BODY[1.HEADER.FIELDS (FROM "TO")]<0>'], b"a)b", "a literal with a parenthesis in it")
    equal(parsed(b'* LIST (\\A) "/" "a \\" b"').data, [["\\A"], b"/", b'a " b'], "LIST")
    equal(parsed(b"* LIST () NIL NIL").data, [[], None, None], "NIL")
    equal(parsed(b'* LIST () "/" "NIL"').data[2], b"NIL", "a string that says NIL")
    equal(parsed(b"* 5 EXISTS").number, 5, "EXISTS")
    equal(parsed(b"* SEARCH").data, [], "an empty SEARCH")
    equal(parsed(b"a1 OK [COPYUID 5 1:2 7,9] done").code, ["COPYUID", "5", "1:2", "7,9"], "COPYUID")
    equal(parsed(b"* OK [PERMANENTFLAGS (\\Seen \\*)] yes").code[1], ["\\Seen", "\\*"], "PERMANENTFLAGS")
    equal(
        parsed(b'* 1 FETCH (BODYSTRUCTURE (("a" "b")("c" "d") "MIXED"))').items()["BODYSTRUCTURE"][2],
        b"MIXED",
        "multipart",
    )
    equal(parsed(b"+ ").tag, "+", "continuation")


def what_no_server_may_say():
    for raw in (
        b"* 3 FETCH (UID 7 FLAGS (\\Seen)",  # list without end
        b"* 3 FETCH (UID  7)",  # two spaces
        b"* 3 FETCH (UID 7 )",
        b"* 3  EXISTS",
        b'* LIST () "/" "a\\b"',  # only " and \ may be escaped
        b'* LIST () "/" "gr\xc3\xbc"',  # 8-bit without UTF-8
        b'* LIST () "/" gr\xc3\xbc',
        b'* LIST () "/" "a',
        b"a1 FETCH (UID 1)",  # tagged data
        b"* SEARCH ",  # space with nothing behind it
        b"+",
        b"* OK [UIDNEXT 4",
        b"* 1 FETCH (BODY[] {5}\r\na\0b)",
        b"* 1 FETCH (BODY[] {3}\r\na\0b)",  # NUL needs a literal8
    ):
        try:
            parsed(raw).items() if b" FETCH " in raw else parsed(raw)
        except wire.ProtocolError:
            continue
        raise AssertionError(f"accepted {raw!r}")


def utf8_when_it_is_enabled():
    equal(parsed(b'* LIST () "/" "gr\xc3\xbc"', utf8=True).data[2], "grü".encode(), "quoted")


def modified_utf7():
    equal(wire.mutf7("Grüße & 日本語"), "Gr&APwA3w-e &- &ZeVnLIqe-", "RFC 3501 §5.1.3")
    equal(wire.mutf7("🐦"), "&2D3cJg-", "a surrogate pair")


def main():
    counts = Counts()
    for check in (responses_of_all_kinds, what_no_server_may_say, utf8_when_it_is_enabled, modified_utf7):
        counts.take(f"reader: {check.__name__.replace('_', ' ')}", check)
    return counts.finish()


if __name__ == "__main__":
    sys.exit(main())
