"""The judge of the kill test, judged: what it must find, and what it must let pass."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "clients"))

from cases import Counts

import world


def known():
    state = world.World()
    state.mailboxes = {"w0": 5, "w0/a": 6}
    state.add("w0", 1, "m1", ["\\Seen"])
    state.add("w0", 2, "m2", [])
    state.add("w0/a", 7, "m3", [])
    return state


def rejected(actual, pending=None):
    done, problems = world.explain(known(), pending, actual)
    assert problems and not done, "let pass what must be rejected"


def accepted(actual, pending=None, done=False):
    happened, problems = world.explain(known(), pending, actual)
    assert not problems, problems
    assert happened == done, f"the pending change: {happened}"


def changed(change):
    state = known()
    change(state)
    return state


def move():
    def leave(state):
        del state.messages["w0", 1]
        del state.messages["w0", 2]

    return world.Change("MOVE", leave, [("w0/a", "m1", ["\\Seen"]), ("w0/a", "m2", [])])


def what_was_acknowledged_must_be_there():
    accepted(known())
    rejected(changed(lambda w: w.messages.pop(("w0", 1))))
    rejected(changed(lambda w: w.mailboxes.pop("w0/a")))


def what_is_gone_must_not_come_back():
    rejected(changed(lambda w: w.add("w0", 9, "m9", [])))
    rejected(changed(lambda w: w.mailboxes.__setitem__("w0/old", 3)))


def flags_and_validities_must_be_kept():
    rejected(changed(lambda w: w.messages.__setitem__(("w0", 2), ("m2", frozenset(["\\Seen"])))))
    rejected(changed(lambda w: w.mailboxes.__setitem__("w0", 9)))
    rejected(changed(lambda w: w.free.__setitem__("w0", 2)))


def a_pending_append_is_there_or_not():
    pending = world.Change("APPEND", lambda w: None, [("w0", "m4", ["\\Draft"])])
    accepted(known(), pending)
    accepted(changed(lambda w: w.add("w0", 3, "m4", ["\\Draft"])), pending, done=True)
    rejected(changed(lambda w: w.add("w0", 3, "m4", [])), pending)
    rejected(changed(lambda w: (w.add("w0", 3, "m4", ["\\Draft"]), w.add("w0", 4, "m4", ["\\Draft"]))), pending)


def a_pending_move_is_never_half_done():
    def whole(state):
        move().apply(state)
        state.add("w0/a", 8, "m1", ["\\Seen"])
        state.add("w0/a", 9, "m2", [])

    accepted(known(), move())
    accepted(changed(whole), move(), done=True)
    rejected(changed(lambda w: (whole(w), w.messages.pop(("w0/a", 9)))), move())
    rejected(changed(lambda w: (whole(w), w.add("w0", 2, "m2", []))), move())
    rejected(changed(lambda w: w.add("w0/a", 8, "m1", ["\\Seen"])), move())


def a_new_message_takes_no_old_uid():
    pending = world.Change("APPEND", lambda w: None, [("w0", "m4", [])])
    acknowledged = known()
    del acknowledged.messages["w0", 2]
    actual = changed(lambda w: w.messages.pop(("w0", 2)))
    actual.messages["w0", 2] = ("m4", frozenset())
    _, problems = world.explain(acknowledged, pending, actual)
    assert problems, "an old UID was used again"


def main():
    counts = Counts()
    for check in (
        what_was_acknowledged_must_be_there,
        what_is_gone_must_not_come_back,
        flags_and_validities_must_be_kept,
        a_pending_append_is_there_or_not,
        a_pending_move_is_never_half_done,
        a_new_message_takes_no_old_uid,
    ):
        counts.take(f"judge: {check.__name__.replace('_', ' ')}", check)
    return counts.finish()


if __name__ == "__main__":
    sys.exit(main())
