#!/bin/bash
# Who may read the installed service's store: a member of the group qzd with plain sqlite3 and with qzctl, while the
# daemon runs, after kill -9 and after a clean stop; nobody else. Makes two users, so only on request, as boot.sh:
#
#     QZD_TEST_SERVICE=1 tests/service/group.sh
set -u
skip() { echo "skipped: $*"; exit 77; }
[ "${QZD_TEST_SERVICE-}" = 1 ] || skip "QZD_TEST_SERVICE=1 is not set"
[ "$(id -u)" = 0 ] || skip "not root"
[ -d /run/systemd/system ] || skip "systemd is not running"
command -v sqlite3 >/dev/null || skip "sqlite3 is not installed"

failed=0
fail() { echo "FAILED: $*"; failed=$((failed + 1)); }
as() { local user=$1; shift; runuser -u "$user" -- "$@"; }
# tries WANTED USER COMMAND...: ok or refused.
tries() {
  local wanted=$1 user=$2 seen; shift 2
  if answer=$(as "$user" "$@" 2>&1); then seen=ok; else seen=refused; fi
  if [ $seen = "$wanted" ]; then
    echo "ok: $user, $when: $(basename "$1") $seen: $(printf '%s' "$answer" | tail -n 1 | cut -c 1-100)"
  else
    fail "$user, $when: $*: $seen: $answer"
  fi
}
looks() { # WANTED USER
  tries "$1" "$2" sqlite3 -readonly /var/lib/qzd/qzd.db "SELECT count(*) || ' games' FROM games"
  tries "$1" "$2" sqlite3 "file:/var/lib/qzd/qzd.db?mode=ro" "SELECT count(*) || ' nets' FROM progress"
  tries "$1" "$2" qzctl --state /var/lib/qzd sql "SELECT count(*) AS games FROM games"
  tries "$1" "$2" wc -c "/var/lib/qzd/$(sqlite3 -readonly /var/lib/qzd/qzd.db 'SELECT file FROM nets LIMIT 1')"
}
all() { looks ok reader; looks refused stranger; }
tally() { sqlite3 -readonly /var/lib/qzd/qzd.db "SELECT count(*) FROM games WHERE state = 'finished'"; }

useradd -M -N -g nogroup -G qzd reader && useradd -M -N -g nogroup stranger || exit 1
systemctl start qzd || exit 1
until [ "$(tally)" -gt 5 ]; do sleep 0.5; done

when="while it runs"
all
tries ok reader qzctl --state /var/lib/qzd status
tries refused reader sqlite3 /var/lib/qzd/qzd.db "DELETE FROM events"
before=$(tally) after=$before
for _ in $(seq 60); do
  after=$(as reader sqlite3 -readonly /var/lib/qzd/qzd.db "SELECT count(*) FROM games WHERE state = 'finished'")
  [ "$after" -gt "$before" ] && break
  sleep 0.5
done
if [ "$after" -gt "$before" ]; then echo "ok: reader sees new games: $before, $after"; else fail "no new games seen"; fi

when="after kill -9"
systemctl mask --runtime qzd >/dev/null 2>&1
systemctl kill -s KILL qzd
while systemctl is-active -q qzd; do sleep 0.2; done
systemctl unmask --runtime qzd >/dev/null 2>&1
systemctl stop qzd
ls -l /var/lib/qzd/qzd.db*
all

when="after a clean stop"
systemctl start qzd && systemctl stop qzd
ls -l /var/lib/qzd/qzd.db*
all
[ $failed = 0 ] && echo "all as it should be"
[ $failed = 0 ]
