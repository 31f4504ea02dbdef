"""Runs cases, counts them, and says what each one saw.

A case is a function that takes the server and asserts. A module of cases ends with `main(__name__)`. Knows nothing
of IMAP: what a server is lives in servers.py, what the protocol looks like in wire.py.

Every run ends with three cases of its own about the server: it is still alive and never panicked, its store verifies
clean, and it stops when asked. So a client test also fails when the server survived only by luck.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
import traceback

import servers

SHOWN = 1200


class Skip(Exception):
    """The server under test does not announce what the case is about; only allowed when it is not Columba."""


REGISTERED = {}


def case(function):
    """Registers a case under its function's name, in order of definition, with the module that defines it."""
    REGISTERED.setdefault(function.__module__, []).append(function)
    return function


AROUND = {}


def around(context):
    """Registers what a module's cases need beside the server: a context manager made with the server."""
    AROUND[context.__module__] = context
    return context


def short(value):
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}… ({len(text)} characters)"


def equal(got, want, what):
    """Asserts equality and shows both sides, or where two byte strings part."""
    if got == want:
        return
    if isinstance(got, bytes) and isinstance(want, bytes):
        at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
        around = slice(max(0, at - 40), at + 40)
        raise AssertionError(
            f"{what}: {len(got)} octets instead of {len(want)}, from {at}: {got[around]!r}, wanted {want[around]!r}"
        )
    if isinstance(got, (set, dict)) and isinstance(want, type(got)):
        extra, missing = [k for k in got if k not in want], [k for k in want if k not in got]
        other = [k for k in got if k in want and isinstance(got, dict) and got[k] != want[k]]
        details = f"not wanted {extra[:5]}, missing {missing[:5]}"
        for key in other[:3]:
            details += f", {key!r}: {short(got[key])} instead of {short(want[key])}"
        raise AssertionError(f"{what}: {short(details)}")
    raise AssertionError(f"{what}: {short(got)}, wanted {short(want)}")


def contains(text, part, what):
    if part not in text:
        raise AssertionError(f"{what}: no {part!r} in {short(text)}")


def until(condition, seconds, what):
    """Waits for something an outside program will do; the value of `condition` when it becomes true."""
    end = time.monotonic() + seconds
    pause = 0.005
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain: {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


def run(argv, seconds=120, env=None, stdin=None, cwd=None, status=0):
    """Runs a program to its end and returns all it printed; its whole process group ends with it."""
    process = subprocess.Popen(
        [str(a) for a in argv],
        stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **(env or {})},
        cwd=cwd,
        start_new_session=True,
    )
    try:
        out, _ = process.communicate(stdin, timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, _ = process.communicate()
        raise AssertionError(
            f"{argv[0]} did not end within {seconds} s: {short(out.decode(errors='replace'))}"
        ) from None
    if status is not None and process.returncode != status:
        command = " ".join(str(a) for a in argv)
        raise AssertionError(
            f"`{command}` ended with {process.returncode}, wanted {status}: {short(out.decode(errors='replace'))}"
        )
    return out.decode(errors="replace")


class Counts:
    """What happened so far; also the last line that every runner prints."""

    def __init__(self):
        self.passed = 0
        self.failed = 0
        self.skipped = 0

    def take(self, label, function):
        """Runs one case; True when it passed or was skipped."""
        started = time.monotonic()
        try:
            function()
        except Skip as reason:
            self.skipped += 1
            print(f"  skip  {label}: {reason}", flush=True)
            return True
        except Exception as failure:  # a case may fail in any way
            self.failed += 1
            print(f"  FAIL  {label} ({time.monotonic() - started:.2f} s): {failure}", flush=True)
            for line in traceback.format_tb(failure.__traceback__)[2:]:
                print("        " + line.rstrip().replace("\n", "\n        "), flush=True)
            return False
        self.passed += 1
        print(f"  ok    {label} ({time.monotonic() - started:.2f} s)", flush=True)
        return True

    def finish(self):
        if self.skipped:
            print(f"{self.skipped} skipped")
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return 1 if self.failed else 0


def check_and_stop(server, counts, label):
    """The three cases that end every run."""
    counts.take(f"{label}: the server is alive and never panicked", server.check_healthy)
    counts.take(f"{label}: the store verifies clean", server.verify)
    counts.take(f"{label}: the server stops when asked", server.stop)


def run_module(name, server_kind, counts, only=None):
    """Runs the cases of one module against a server of its own."""
    label = name.removeprefix("test_")
    chosen = [f for f in REGISTERED.get(name, []) if not only or only in f.__name__]
    if not chosen:
        return
    with servers.launch(server_kind) as server:
        failures = counts.failed
        if name in AROUND:
            counts.take(
                f"{label}: all that is around the server", lambda: with_surroundings(name, server, chosen, counts)
            )
        else:
            run_cases(label, chosen, [server], counts)
        if counts.failed > failures:
            print(server.log_tail(), flush=True)
        check_and_stop(server, counts, label)


def run_cases(label, chosen, given, counts):
    for function in chosen:
        counts.take(f"{label}: {function.__name__.replace('_', ' ')}", lambda f=function: f(*given))


def with_surroundings(name, server, chosen, counts):
    with AROUND[name](server) as surroundings:
        run_cases(name.removeprefix("test_"), chosen, [server, surroundings], counts)


def arguments(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--server", choices=["columba", "dovecot"], default="columba")
    parser.add_argument("--only", help="run the cases whose name has this in it")
    return parser


def main(name):
    """Called at the end of a module of cases: runs them when the module is the program."""
    if name != "__main__":
        return
    module = os.path.splitext(os.path.basename(sys.argv[0]))[0]
    REGISTERED[module] = REGISTERED.pop("__main__", [])
    if "__main__" in AROUND:
        AROUND[module] = AROUND.pop("__main__")
    options = arguments(sys.modules["__main__"].__doc__).parse_args()
    counts = Counts()
    run_module(module, options.server, counts, options.only)
    sys.exit(counts.finish())
