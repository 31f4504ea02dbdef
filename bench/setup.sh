#!/usr/bin/env bash
# Installs the servers that Columba is measured against, from Debian's packages: bench/setup.sh [--check]
#
# Dovecot comes from apt. Cyrus cannot be installed beside it (both provide imap-server), so its packages are unpacked
# into a directory of their own, COLUMBA_BENCH_CYRUS (/usr/local/lib/columba-bench/cyrus unless set), and only the
# libraries they need are installed. No service is started or enabled: the bench runs each server by itself, with its
# own configuration, data and ports. Needs root or sudo. --check only tells what is there. Written for Debian 12.
set -euo pipefail

cyrus=${COLUMBA_BENCH_CYRUS:-/usr/local/lib/columba-bench/cyrus}
export DEBIAN_FRONTEND=noninteractive PATH=$PATH:/usr/sbin:/sbin
sudo=""
[ "$(id -u)" = 0 ] || sudo="sudo -n"

say() { echo "setup: $*" >&2; }
version() { dpkg-query -W -f '${Version}' "$1" 2>/dev/null || true; }
has_dovecot() { [ -x /usr/lib/dovecot/imap ] && [ -x /usr/lib/dovecot/lmtp ]; }
has_cyrus() { [ -x "$cyrus/usr/lib/cyrus/bin/imapd" ] && command -v saslpasswd2 >/dev/null; }

report() {
    if has_dovecot; then say "Dovecot $(version dovecot-imapd)"; else say "Dovecot is missing"; fi
    if has_cyrus; then say "Cyrus $(cat "$cyrus/version"), in $cyrus"; else say "Cyrus is missing"; fi
    has_dovecot && has_cyrus
}

# Installs packages; the services they bring are kept from starting (policy-rc.d) and from being enabled (a mask that is
# there before the package is).
install_quietly() {
    local policy="" unit
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        policy=/usr/sbin/policy-rc.d
        printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null
        $sudo chmod 755 $policy
        # shellcheck disable=SC2064 # the value of now is meant
        trap "$sudo rm -f $policy" EXIT
    fi
    for unit in dovecot.service dovecot.socket saslauthd.service; do
        # Somebody's own server stays as it is.
        [ -e "/lib/systemd/system/$unit" ] || [ -e "/etc/systemd/system/$unit" ] ||
            { $sudo mkdir -p /etc/systemd/system && $sudo ln -s /dev/null "/etc/systemd/system/$unit"; }
    done
    say "installing: $*"
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

unpack_cyrus() {
    local work
    work=$(mktemp -d)
    (cd "$work" && apt-get -qq download cyrus-common cyrus-imapd 2>/dev/null)
    # Their libraries, without what else they ask for: a mail server, above all.
    # shellcheck disable=SC2046 # words are meant to be split
    install_quietly sasl2-bin libsasl2-modules libsasl2-modules-db $(for package in "$work"/*.deb; do dpkg-deb -f "$package" Depends; done |
        tr ',' '\n' | sed 's/|.*//; s/(.*//; s/ //g' | grep '^lib' | sort -u)
    for package in "$work"/*.deb; do
        dpkg-deb -x "$package" "$work/root"
        dpkg-deb -f "$package" Version >"$work/root/version"
    done
    chmod -R go+rX "$work/root"
    $sudo mkdir -p "$(dirname "$cyrus")"
    $sudo rm -rf "$cyrus"
    $sudo mv "$work/root" "$cyrus"
    rm -rf "$work"
    say "unpacked Cyrus into $cyrus"
}

# Dovecot waits for changes with inotify, an instance for each waiting process; beyond the limit it polls.
raise_inotify() {
    local limit=/proc/sys/fs/inotify/max_user_instances
    if [ "$(cat $limit)" -lt 32768 ]; then
        echo 32768 | $sudo tee $limit >/dev/null && say "raised fs.inotify.max_user_instances to 32768 until the next boot"
    fi
}

case ${1:-} in
--check)
    report
    exit
    ;;
-h | --help)
    sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit
    ;;
"") ;;
*)
    say "no option $1; --help tells"
    exit 2
    ;;
esac

command -v apt-get >/dev/null || { say "this is written for Debian: apt-get is missing"; exit 1; }
if ! has_dovecot || ! has_cyrus; then
    $sudo apt-get update -qq
fi
has_dovecot || install_quietly dovecot-imapd dovecot-lmtpd
has_cyrus || unpack_cyrus
raise_inotify || say "could not raise fs.inotify.max_user_instances: Dovecot will poll for some idle connections"
report
