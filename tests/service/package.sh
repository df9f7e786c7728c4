#!/bin/bash
# The life of the Debian package on a booted systemd: install, upgrade with an edited configuration, remove, install
# again on the state that stayed, purge. It takes two packages, the second of a higher version; see boot.sh for when it skips:
#
#     QZD_TEST_SERVICE=1 tests/service/package.sh OLD.deb NEW.deb
set -u
skip() { echo "skipped: $*"; exit 77; }
[ "${QZD_TEST_SERVICE-}" = 1 ] || skip "QZD_TEST_SERVICE=1 is not set"
[ "$(id -u)" = 0 ] || skip "not root"
[ -d /run/systemd/system ] || skip "systemd is not running"
[ $# = 2 ] || skip "name two packages, the older one first"
export DEBIAN_FRONTEND=noninteractive

failed=0
say() { printf '== %s s: %s\n' "$SECONDS" "$*"; }
expect() { local what=$1; shift; if "$@"; then echo "ok: $what"; else echo "FAILED: $what"; failed=$((failed + 1)); fi; }
not() { ! "$@"; }
active() { systemctl is-active -q qzd; }
games() { sqlite3 -readonly /var/lib/qzd/qzd.db "SELECT count(*) FROM games WHERE state = 'finished'"; }
wait_games() { for _ in $(seq 120); do [ "$(games)" -gt "$1" ] && return; sleep 0.5; done; false; }
version() { dpkg-query -W -f '${Version}' qzd; }

say "install"
expect "dpkg -i" dpkg -i "$1"
old=$(version)
expect "enabled" systemctl is-enabled -q qzd
expect "active" active
expect "it plays" wait_games 3
expect "the user is there" id qzd
stat -c '%A %U:%G %n' /etc/qzd/qzd.yaml /var/lib/qzd /run/qzd/qzd.sock /var/lib/qzd/qzd.db
expect "no file differs" dpkg --verify qzd

say "upgrade with an edited configuration"
echo '# edited' >>/etc/qzd/qzd.yaml
before=$(games) pid=$(systemctl show -P MainPID qzd)
expect "dpkg -i" dpkg -i "$2"
echo "$old -> $(version)"
expect "a higher version" dpkg --compare-versions "$(version)" gt "$old"
expect "the edited configuration stays" grep -q '^# edited' /etc/qzd/qzd.yaml
expect "another process" [ "$(systemctl show -P MainPID qzd)" != "$pid" ]
expect "active" active
expect "it goes on where it was" wait_games "$before"

say "disabled, it stays so"
systemctl disable -q --now qzd
expect "dpkg -i" dpkg -i "$2"
expect "not enabled" not systemctl is-enabled -q qzd
systemctl enable -q --now qzd

say "remove"
before=$(games)
expect "dpkg -r" dpkg -r qzd
expect "stopped" not active
expect "no process" not pgrep -u qzd
expect "the program is gone" not command -v qzd
expect "the configuration stays" grep -q '^# edited' /etc/qzd/qzd.yaml
expect "the state stays" [ "$(games)" -ge "$before" ]

say "install again"
expect "dpkg -i" dpkg -i "$2"
expect "active" active
expect "it goes on where it was" wait_games "$before"

say "purge"
expect "dpkg -P" dpkg -P qzd
expect "no process" not pgrep -u qzd
expect "no configuration" not test -e /etc/qzd
expect "no state" not test -e /var/lib/qzd
expect "no link of the unit" not test -e /etc/systemd/system/multi-user.target.wants/qzd.service
expect "dpkg knows nothing of it" not dpkg -s qzd
say "$([ $failed = 0 ] && echo "all as it should be" || echo "$failed failures")"
[ $failed = 0 ]
