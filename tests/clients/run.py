"""Runs all client tests, each module against a server of its own.

`--server dovecot` runs them against Dovecot, which proves that they ask for nothing that only Columba does.
"""

import importlib
import sys

import cases

MODULES = [
    "test_raw",
    "test_imaplib",
    "test_curl",
    "test_mbsync",
    "test_neomutt",
    "test_offlineimap",
    "test_imapflow",
    "test_thunderbird",
    "test_postfix",
]


def main():
    parser = cases.arguments(__doc__)
    parser.add_argument(
        "modules", nargs="*", metavar="MODULE", help=f"some of {', '.join(MODULES)}; all when none is given"
    )
    options = parser.parse_args()
    counts = cases.Counts()
    for name in options.modules or MODULES:
        name = name if name.startswith("test_") else f"test_{name}"
        importlib.import_module(name)
        cases.run_module(name, options.server, counts, options.only)
    return counts.finish()


if __name__ == "__main__":
    sys.exit(main())
