#!/bin/bash
# The installed service on a real systemd: it starts, trains a net in its sandbox, survives kills and a stopped
# loop, reloads good and bad settings, stops. It CHANGES /etc/qzd/qzd.yaml and the service's state, so it runs
# only when told to, on a machine (or container) made for it:
#
#     QZD_TEST_SERVICE=1 tests/service/boot.sh
#
# Without that, without root, or where systemd is not process 1, it skips: exit status 77.
set -u
skip() { echo "skipped: $*"; exit 77; }
[ "${QZD_TEST_SERVICE-}" = 1 ] || skip "QZD_TEST_SERVICE=1 is not set"
[ "$(id -u)" = 0 ] || skip "not root"
[ -d /run/systemd/system ] || skip "systemd is not running"
[ -f /lib/systemd/system/qzd.service ] || skip "qzd is not installed"

failed=0
say() { printf '== %s s: %s\n' "$SECONDS" "$*"; }
fail() { echo "FAILED: $*"; failed=$((failed + 1)); }
# expect WHAT COMMAND...: the command succeeds.
expect() { local what=$1; shift; if "$@"; then echo "ok: $what"; else fail "$what"; fi; }
# wait_for SECONDS WHAT COMMAND...: until the command succeeds.
wait_for() {
  local left=$(($1 * 2)) what=$2; shift 2
  until "$@"; do
    left=$((left - 1))
    [ $left -gt 0 ] || { fail "$what: not in time"; return 1; }
    sleep 0.5
  done
  echo "ok: $what"
}
asked() { qzctl --state /var/lib/qzd "$@"; }
generation() { asked sql --json "SELECT max(generation) AS g FROM nets WHERE line = 'main'" 2>/dev/null | tr -dc 0-9; }
games() { asked sql --json "SELECT count(*) AS n FROM games WHERE state = 'finished'" 2>/dev/null | tr -dc 0-9; }
at_least() { local n; n=$("$1"); [ "${n:-0}" -ge "$2" ]; }
active() { [ "$(systemctl is-active qzd)" = active ]; }
main_pid() { systemctl show -P MainPID qzd; }
restarted() { local pid; pid=$(main_pid); [ "$pid" != 0 ] && [ "$pid" != "$1" ] && active; }
roles() { ps -u qzd -o args= | awk '{ print $2 }' | sort | uniq -c | tr -s ' \n' ' '; }
sql_is() { [ "$(asked sql --json "$2" 2>/dev/null | tr -dc 0-9)" = "$1" ]; } # NUMBER, SQL of one number

say "a configuration that trains soon"
systemctl stop qzd 2>/dev/null
cat >/etc/qzd/qzd.yaml <<'YAML'
state_dir: /var/lib/qzd
control: {socket: /run/qzd/qzd.sock}
training: {first: 400, every: {min: 400, max: 400}, checkpoint_seconds: 1}
resources: {nice: 1, memory_mib: 4096}
events: {exec: [tee, --append, /var/lib/qzd/events.json], severity: info}
YAML
systemd-sysusers && systemd-tmpfiles --create qzd.conf && systemctl daemon-reload

say "start"
expect "systemctl start" systemctl start qzd
expect "active" active
systemctl show -P StatusText qzd
systemd-analyze security qzd.service | tail -n 1

say "a training"
wait_for 240 "generation 1 and later" at_least generation 1
echo "processes: $(roles)"
systemctl show -P StatusText qzd

say "in the sandbox"
expect "an event's command ran" grep -q '"what"' /var/lib/qzd/events.json
worker=$(pgrep -u qzd -f 'qzd worker' | head -n 1)
awk '/Max data size/ { print "a worker'"'"'s memory limit: " $4 / 1048576 " MiB" }' "/proc/$worker/limits"
journalctl -u qzd -o cat --no-pager | grep -m 1 '^resources'

say "kill -9 of everything"
before=$(games) pid=$(main_pid)
systemctl kill -s KILL qzd
wait_for 60 "restarted" restarted "$pid"
wait_for 30 "answers again" at_least games "$before"
next=$(($(generation) + 1))
wait_for 240 "another generation after the kill" at_least generation "$next"

say "kill -9 in the middle of a training"
wait_for 240 "a training runs" sql_is 1 "SELECT count(*) AS n FROM trainings WHERE state = 'running'"
pid=$(main_pid) next=$(($(generation) + 1))
systemctl kill -s KILL qzd
wait_for 60 "restarted" restarted "$pid"
wait_for 240 "its net comes" at_least generation "$next"

say "reload"
echo 'targets: {q_ratio: 0.75}' >>/etc/qzd/qzd.yaml
expect "reload of a good file" systemctl reload qzd
wait_for 10 "it stands in settings_log" sql_is 75 \
  "SELECT CAST(100 * new AS INTEGER) AS n FROM settings_log WHERE key = 'targets.q_ratio' ORDER BY id DESC LIMIT 1"
wait_for 240 "a training with the new q_ratio" sql_is 75 \
  "SELECT CAST(100 * q_ratio AS INTEGER) AS n FROM trainings WHERE state = 'finished' ORDER BY id DESC LIMIT 1"
cp /etc/qzd/qzd.yaml /run/good.yaml
echo 'search: {nodes: none}' >>/etc/qzd/qzd.yaml
pid=$(main_pid)
if systemctl reload qzd; then fail "a bad file was taken"; else echo "ok: reload of a bad file fails"; fi
journalctl -u qzd -n 5 -o cat --no-pager | grep -n 'qzd.yaml:'
expect "the same process runs on" [ "$pid" = "$(main_pid)" ]
expect "active" active
cp /run/good.yaml /etc/qzd/qzd.yaml
expect "reload of the good file again" systemctl reload qzd

say "a loop that stands still"
mkdir -p /run/systemd/system/qzd.service.d
printf '[Service]\nWatchdogSec=10\n' >/run/systemd/system/qzd.service.d/watchdog.conf
systemctl daemon-reload
expect "restart" systemctl restart qzd
wait_for 60 "it plays" at_least games $(($(games) + 1))
pid=$(main_pid) before=$(games)
kill -STOP "$pid"
wait_for 60 "the watchdog ended it and systemd started it again" restarted "$pid"
journalctl -u qzd --no-pager -o cat | grep -i watchdog | tail -n 2
wait_for 30 "nothing is lost" at_least games "$before"
rm -r /run/systemd/system/qzd.service.d
systemctl daemon-reload

say "a configuration that cannot be read at start"
systemctl stop qzd
cp /etc/qzd/qzd.yaml /run/good.yaml
echo 'search: {nodes: none}' >>/etc/qzd/qzd.yaml
if systemctl start qzd 2>/dev/null; then fail "it started"; else echo "ok: it does not start"; fi
sleep 12
expect "it does not try again by itself" [ "$(systemctl show -P NRestarts qzd)" = 0 ]
cp /run/good.yaml /etc/qzd/qzd.yaml
expect "mended, it starts" systemctl start qzd

say "stop"
expect "systemctl stop" systemctl stop qzd
expect "clean" [ "$(systemctl show -P Result qzd)" = success ]
expect "nothing is left" [ -z "$(pgrep -u qzd)" ]
if [ -f /var/lib/qzd/qzd.db ]; then
  expect "check" asked check
fi

journalctl -u qzd --no-pager -o cat -p warning | tail -n 20
say "$([ $failed = 0 ] && echo "all as it should be" || echo "$failed failures")"
[ $failed = 0 ]
