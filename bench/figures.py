#!/usr/bin/env python3
"""Counts the instructions of a few hot paths and shows them beside the committed figures: bench/figures.py [--write]

Each path of crates/sim/examples/figures.rs (a release build of it) runs under valgrind's callgrind, which counts the same
wherever it runs and whatever else the machine does. A path that needs twice the committed figure fails; anything less is
shown, no more, since a compiler alone moves it by some percents. --write makes what was counted the committed figures.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

TREE = pathlib.Path(__file__).resolve().parent.parent
COMMITTED = TREE / "docs" / "performance-figures.tsv"
PATHS = {
    "parse": "command, of a pipelined mix",
    "append": "APPEND of 4 KB",
    "select": "SELECT of 10,000 messages",
    "fetch-flags": "message, FETCH 1:* (UID FLAGS) of 10,000",
    "fetch-envelope": "message, FETCH 1:* (UID ENVELOPE) of 10,000",
    "store-flags": "message, STORE 1:* +FLAGS.SILENT of 10,000",
    "search-flags": "message, SEARCH UNSEEN NOT DELETED of 10,000",
}
# Paths whose count is of the whole command.
WHOLE = {"select"}
LIMIT = 2.0


def count(program, name):
    """Instructions for one operation."""
    with tempfile.TemporaryDirectory() as directory:
        out = pathlib.Path(directory) / "callgrind"
        run = subprocess.run(
            ["valgrind", "--tool=callgrind", "--toggle-collect=figures::counted*", f"--callgrind-out-file={out}", program, name],
            capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)
        if run.returncode != 0:
            raise SystemExit(f"{name}: {run.stderr[-2000:]}")
        found = re.search(r"^summary: (\d+)", out.read_text(errors="replace"), re.MULTILINE)
    instructions = int(found[1]) if found else 0
    if instructions == 0:
        raise SystemExit(f"{name}: callgrind counted nothing")
    return instructions / (1 if name in WHOLE else int(run.stdout))


def committed():
    """The committed figures by path."""
    if not COMMITTED.exists():
        return {}
    rows = (line.split("\t") for line in COMMITTED.read_text().splitlines()[1:])
    return {row[0]: float(row[1]) for row in rows}


def main():
    arguments = sys.argv[1:]
    if set(arguments) - {"--write"}:
        print(__doc__)
        return 0 if set(arguments) <= {"-h", "--help"} else 2
    metadata = subprocess.run(["cargo", "metadata", "--format-version=1", "--no-deps", "--offline"],
                              cwd=TREE, capture_output=True, text=True, check=True)
    target = json.loads(metadata.stdout)["target_directory"]
    subprocess.run(["cargo", "build", "--quiet", "--release", "--locked", "-p", "columba-sim", "--example", "figures"], cwd=TREE, check=True)
    program = f"{target}/release/examples/figures"
    with ThreadPoolExecutor(2) as pool:
        counted = dict(zip(PATHS, pool.map(lambda name: count(program, name), PATHS)))
    before = committed()
    if "--write" in arguments:
        before = counted
        lines = ["path\tinstructions\tfor one"] + [f"{name}\t{counted[name]:.0f}\t{PATHS[name]}" for name in PATHS]
        COMMITTED.write_text("\n".join(lines) + "\n")
    failed = 0
    print(f"{'path':<16}{'instructions':>14}{'committed':>12}{'ratio':>8}  for one")
    for name, now in counted.items():
        was = before.get(name)
        ratio = now / was if was else None
        bad = ratio is None or ratio >= LIMIT
        failed += bad
        shown = "new" if ratio is None else f"{ratio:.2f}"
        print(f"{name:<16}{now:>14,.0f}{was or 0:>12,.0f}{shown:>8}  {PATHS[name]}{'   TOO MUCH' if bad else ''}")
    if "--write" in arguments:
        return 0
    print(f"{len(counted) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
