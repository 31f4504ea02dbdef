"""What one worker of the kill test knows to be true, and what one unanswered command may have changed.

A worker owns mailboxes (`w3`, `w3/a` …) and messages (ids `w3-17`), also messages in the mailbox all share; nobody else
touches them. So after a crash the worker's part of the account must be exactly what was acknowledged, or exactly that
with its one unanswered command wholly done. Knows no sockets.
"""

import collections
import copy


class World:
    """Mailboxes (name -> UIDVALIDITY), messages ((mailbox, UID) -> (id, flags)), and the lowest UID still free."""

    def __init__(self):
        self.mailboxes = {}
        self.messages = {}
        self.free = {}

    def clone(self):
        return copy.deepcopy(self)

    def within(self, mailbox):
        """UID -> (id, flags) of one mailbox."""
        return {uid: value for (name, uid), value in self.messages.items() if name == mailbox}

    def add(self, mailbox, uid, identity, flags):
        self.messages[mailbox, uid] = (identity, frozenset(flags))
        self.free[mailbox] = max(self.free.get(mailbox, 1), uid + 1)

    def rename(self, old, new):
        def renamed(name):
            return new + name[len(old) :] if name == old or name.startswith(old + "/") else name

        self.mailboxes = {renamed(name): validity for name, validity in self.mailboxes.items()}
        self.messages = {(renamed(name), uid): value for (name, uid), value in self.messages.items()}
        self.free = {renamed(name): uid for name, uid in self.free.items()}

    def delete(self, mailbox):
        del self.mailboxes[mailbox]
        self.free.pop(mailbox, None)
        for uid in self.within(mailbox):
            del self.messages[mailbox, uid]


class Change:
    """One command: `apply(world)` does what is known of it before its answer.

    What it adds at UIDs nobody knows yet stands beside that: (mailbox, id, flags) for messages, names for mailboxes.
    """

    def __init__(self, text, apply, messages=(), mailboxes=()):
        self.text = text
        self.apply = apply
        self.new_messages = list(messages)
        self.new_mailboxes = list(mailboxes)


def differences(known, new_messages, new_mailboxes, actual):
    """Why `actual` is not `known` with the new things added at fresh UIDs; empty when it is."""
    problems = []
    for name in known.mailboxes.keys() | actual.mailboxes.keys():
        if name not in actual.mailboxes:
            problems.append(f"mailbox {name} is missing")
        elif name not in known.mailboxes:
            if name not in new_mailboxes:
                problems.append(f"mailbox {name} should not be there")
        elif known.mailboxes[name] not in (None, actual.mailboxes[name]):  # None: made, and not yet asked for
            problems.append(f"UIDVALIDITY of {name} was {known.mailboxes[name]} and is {actual.mailboxes[name]}")
    problems += [f"mailbox {name} is missing" for name in new_mailboxes if name not in actual.mailboxes]
    left = collections.Counter((mailbox, identity, frozenset(flags)) for mailbox, identity, flags in new_messages)
    for name, uid in known.free.items():
        if name in actual.free and actual.free[name] < uid:
            problems.append(f"UIDNEXT of {name} was at least {uid} and is {actual.free[name]}")
    for key, value in known.messages.items():
        if key not in actual.messages:
            problems.append(f"message {value[0]} is missing: {key}")
        elif actual.messages[key] != value:
            problems.append(f"message {key} is {actual.messages[key]} and should be {value}")
    for (mailbox, uid), (identity, flags) in actual.messages.items():
        if (mailbox, uid) in known.messages:
            continue
        if left[mailbox, identity, flags] > 0 and uid >= known.free.get(mailbox, 1):
            left[mailbox, identity, flags] -= 1
        else:
            problems.append(f"message {identity} should not be there: {mailbox} UID {uid} {sorted(flags)}")
    problems += [
        f"message {identity} is missing in {mailbox}" for (mailbox, identity, _), count in left.items() if count > 0
    ]
    return problems


def explain(acknowledged, pending, actual):
    """Compares a worker's part after a crash: (done, problems). `done` tells whether the pending change happened."""
    before = differences(acknowledged, [], [], actual)
    if not before:
        return False, []
    if pending is None:
        return False, before
    after = acknowledged.clone()
    pending.apply(after)
    late = differences(after, pending.new_messages, pending.new_mailboxes, actual)
    if not late:
        return True, []
    return False, [f"neither without `{pending.text}`:", *before[:6], "nor with it:", *late[:6]]
