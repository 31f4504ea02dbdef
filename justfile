# The checks by name. All of them live in ./test, so that they run where just is not installed.

# shows the recipes
default:
    @just --list

# everything that CI runs
check:
    ./test

# what a change needs before it is committed, in a few minutes
quick:
    ./test fmt clippy unit

# one stage or more of ./test, by name (`just stage kill disk`)
stage +names:
    ./test {{ names }}

# the stages of ./test
stages:
    ./test --list

# what the other stages need: packages, npm packages, cargo-deny
setup:
    ./test tools deny

# all clients against Columba
clients:
    ./test build clients postfix

# the client tests against Dovecot, which must be installed: proves that they ask for nothing special
clients-dovecot:
    cd tests/clients && python3 run.py --server dovecot

# kill -9 under load, as many rounds as you have time for
kill rounds="300":
    ./test build
    COLUMBA_BIN=target/release/columba python3 tests/faults/kill.py --rounds {{ rounds }}

# each fuzz target for so many seconds
fuzz seconds="60":
    FUZZ_SECONDS={{ seconds }} ./test fuzz

format:
    cargo fmt --all
