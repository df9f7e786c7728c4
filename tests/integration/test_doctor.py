"""The doctor on a healthy run and on runs that are broken on purpose: it names each, and nothing else by that name.

    test_doctor.py [CASE...]     all cases by default
QZD_TEST_LONG=1: the shipped configuration (4 blocks of 32 filters, 800 nodes) instead of the tiny net, for minutes a case."""
import json
import os
import resource
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import time

from harness import QZCTL, Daemon, check, wait_until

LONG = os.environ.get("QZD_TEST_LONG") == "1"
# The tiny configuration's sections laid back to their defaults.
SHIPPED = {
    "network": {"blocks": 4, "filters": 32, "se_ratio": 4, "value_filters": 8, "value_hidden": 64},
    "search": {"nodes": 800},
    "selfplay": {"games_per_worker": 32, "cache_entries": 500000},
    "training": {"first": 8000, "every": {"min": 8000, "max": 20000}, "window": {"c": 20000}, "batch": 256,
                 "samples_per_position": 4, "refresh_positions": 4096},
    "evaluation": {"nodes": 800},
}


def run(environment=None, **changes):
    daemon = Daemon(environment)
    if LONG:
        daemon.change_config(**SHIPPED)
    # Figures are those of fp32 on every processor, and so is the pace of play.
    daemon.change_config(inference={"precision": "fp32"})
    daemon.change_config(**changes)
    return daemon


def diagnosis(daemon, generation=None, ok=None):
    """name -> check."""
    arguments = ["doctor", "--json"] + (["--generation", str(generation)] if generation is not None else [])
    answer = json.loads(daemon.qzctl(*arguments, ok=ok).stdout)
    return {one["check"]: one for one in answer["checks"]}


def red(checks):
    return sorted(name for name, one in checks.items() if one["state"] == "red")


def events(daemon, text):
    return daemon.rows("SELECT * FROM events WHERE what = 'diagnosis' AND detail LIKE ?", f"%{text}%")


def wait_red(daemon, name, seconds):
    """Until the daemon itself has said it: in status, as an event and in the table."""
    seconds = seconds * 20 if LONG else seconds
    wait_until(lambda: name in daemon.json("status")["doctor"]["red"], seconds, f"{name} to be red", every=0.5)
    wait_until(lambda: events(daemon, f"{name} is red"), 10, f"an event of {name}")
    check(daemon.one("SELECT count(*) FROM diagnoses WHERE name = ? AND state = 'red'", name) >= 1, "no row of it")
    wait_until(lambda: daemon.qzctl("doctor", ok=None).returncode == 1, 20, "qzctl doctor to end with 1")  # a figure swings
    check(len(events(daemon, f"{name} is red")) == 1, "the event comes again and again")


# What a small net learns of values in a few seconds it learns of tic-tac-toe. Without proofs, so that many nodes make play
# slower than training: else each training finds more new positions than the one before.
LEARNS = {} if LONG else {"game": "tictactoe", "search": {"nodes": 400, "solver": False}, "evaluation": {"suites": []},
                          "network": {"filters": 16, "value_filters": 4, "value_hidden": 32},
                          "training": {"first": 1000, "every": {"min": 1000, "max": 1000}, "window": {"c": 10000},
                                       "learning_rate": 0.01, "samples_per_position": 3, "average_decay": 0.9},
                          "targets": {"q_ratio": 0}}
LEARNT = 8 if LONG else 5


def healthy():
    # So that a slow build's or a busy machine's trainings keep up.
    with run(**({} if LONG else {"search": {"nodes": 64}, "training": {"max_samples": 1000000}})) as daemon:
        generations = 8
        daemon.wait_generation(generations, 1800 if LONG else 120)
        wait_until(lambda: daemon.one("SELECT count(DISTINCT generation) FROM diagnoses") >= generations, 20, "diagnoses")
        for generation in range(generations + 1):
            checks = diagnosis(daemon, generation, ok=0)
            bad = [f"{one['check']}: {one['text']}" for one in checks.values() if one["state"] in ("yellow", "red")]
            check(not bad, f"generation {generation}: {bad}")
        now = diagnosis(daemon, ok=0)
        check(red(now) == [], red(now))
        known = [one for one in now.values() if one["state"] != "unknown"]
        check(len(known) >= 20, f"only {len(known)} checks are known: {now}")
        check(now["playing net"]["figure"] < 1e-4, now["playing net"])
        check(not events(daemon, "is red"), [dict(event) for event in events(daemon, "is red")])
        check(daemon.json("status")["doctor"]["red"] == [], "status")
        # Refused with a reason, not answered with nothing.
        check(daemon.qzctl("doctor", "--generation", "999", ok=None).returncode == 1, "a generation that is not there")
        check("no generation 999" in daemon.qzctl("doctor", "--generation", "999", ok=None).stderr, "why")
        daemon.stop()
        # Without a daemon: the store's own checks say the same, the others nothing.
        alone = diagnosis(daemon, ok=0)
        check(alone["store"]["state"] == "unknown" and alone["value sign"]["state"] == "green", alone)


def no_noise():
    with run(search={"noise": {"share": 0}, "temperature": {"start": 0, "floor": 0}}) as daemon:
        wait_red(daemon, "exploration", 60)
        wait_red(daemon, "distinct games", 60)
        # Mended, it is said once; the rest is up to the games. The search that judges the noise is the newest one.
        daemon.change_config(search={"noise": {"share": 0.25}, "temperature": {"start": 1, "floor": 0.2}})
        daemon.qzctl("reload")
        wait_until(lambda: events(daemon, "exploration is green again"), 1200 if LONG else 60, "exploration to be green again",
                   every=0.5)


def samples_50():
    # Play that is slower than trainings, and no limit to these: else they draw far fewer, and the figure is the machine's.
    with run(search={} if LONG else {"nodes": 64}, training={"samples_per_position": 50, "max_samples": 10000000}) as daemon:
        wait_red(daemon, "samples per position", 60)
        # It has been said; a daemon that begins again knows that.
        daemon.stop()
        daemon.start()
        wait_until(lambda: "samples per position" in daemon.json("status")["doctor"]["red"], 20, "it to be red still")
        daemon.stop()  # what it had to say is committed
        check(len(events(daemon, "samples per position is red")) == 1, "the event comes again after a restart")


def learning_rate_30():
    with run(training={"learning_rate": 0.06}) as daemon:
        wait_red(daemon, "learning rate", 60)


def flip_value(source, target):
    """A copy of a net whose value head says loss for win."""
    with open(source, "rb") as file:
        content = bytearray(file.read())
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8:8 + size])
    for name in ("value.fc2.weight", "value.fc2.bias"):
        begin, end = (8 + size + offset for offset in header[name]["data_offsets"])
        row = (end - begin) // 3
        win, loss = content[begin:begin + row], content[end - row:end]
        content[begin:begin + row], content[end - row:end] = loss, win
    with open(target, "wb") as file:
        file.write(content)


def flipped_sign():
    """A teacher that takes wins for losses: the net learns it, and searches with it."""
    with run(**LEARNS) as daemon:
        daemon.wait_generation(LEARNT, 1800 if LONG else 120)
        daemon.stop()
        check(diagnosis(daemon)["value sign"]["state"] == "green", diagnosis(daemon)["value sign"])
        net = daemon.one("SELECT file FROM nets WHERE state = 'current' AND line = 'main'")
        teacher = os.path.join(daemon.root, "flipped.safetensors")
        flip_value(os.path.join(daemon.state, net), teacher)
        daemon.change_config(teacher={"net": teacher, "ratio": {"value": 1}})
        daemon.start()
        wait_red(daemon, "value sign", 120)


def flipped_columns():
    """The same symptoms made in copies of a healthy store by SQL: z, q or v of the wrong sign, for one side alone too."""
    with run(**LEARNS) as daemon:
        daemon.wait_generation(LEARNT, 1800 if LONG else 120)
        daemon.stop()
        before = red(diagnosis(daemon))  # so small a game has few openings, which is not the point here
        check(not {"value sign", "won moves", "playing net"} & set(before), before)
        for change, name in (("z = -z", "value sign"), ("v = -v", "value sign"), ("q = -q", "value sign"),
                             ("q = -q", "won moves"), ("q = -q, z = -z", "won moves"),
                             ("v = v + 0.01", "playing net"),
                             ("z = -z, q = -q WHERE (ply + (SELECT first_side FROM games WHERE id = game_id)) % 2 = 0", "value sign")):
            copy = os.path.join(daemon.root, "copy")
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(daemon.state, copy)
            connection = sqlite3.connect(os.path.join(copy, "qzd.db"))
            connection.execute("UPDATE positions SET " + change)
            connection.commit()
            connection.close()
            done = subprocess.run([QZCTL, "doctor", "--json", "--state", copy], capture_output=True, text=True)
            found = red({one["check"]: one for one in json.loads(done.stdout)["checks"]})
            check(name in found, f"{change}: {name} is not red, but {found} are: {done.stdout}")
            check(done.returncode == 1, f"exit code {done.returncode}")


def stalled_worker():
    with run() as daemon:
        daemon.wait_generation(1, 1800 if LONG else 60)
        worker = daemon.children("worker")[0]
        os.kill(worker, signal.SIGSTOP)
        wait_until(lambda: "worker silence" in daemon.json("status")["doctor"]["red"], 60, "the silence to be red", every=1)
        wait_until(lambda: events(daemon, "worker silence is red: worker 0 has said nothing"), 10, "the event")
        os.kill(worker, signal.SIGCONT)
        wait_until(lambda: events(daemon, "worker silence is green again"), 30, "it to be green again", every=0.5)


def full_disk():
    """A limit on the size of the daemon's files stands for the disk: writes fail in the same places, without root."""
    with run() as daemon:
        daemon.wait_generation(1, 1800 if LONG else 60)
        told = os.path.join(daemon.root, "told")
        script = os.path.join(daemon.root, "tell")
        with open(script, "w") as file:
            file.write(f'#!/bin/sh\necho "$QZD_EVENT_WHAT: $QZD_EVENT_DETAIL" >> {told}\n')
        os.chmod(script, 0o755)
        daemon.change_config(events={"exec": [script], "severity": "error", "seconds": 5})
        daemon.qzctl("reload")
        size = max(os.path.getsize(os.path.join(daemon.state, name)) for name in ("qzd.db", "qzd.db-wal"))
        resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (size + 4096, resource.RLIM_INFINITY))
        wait_until(lambda: "store" in daemon.json("status")["doctor"]["red"], 60, "the store to be red", every=0.5)
        check(daemon.json("status")["storage"]["blocked"], "status does not say that the store is blocked")
        # The store cannot keep an event now, but a person hears of it.
        wait_until(lambda: os.path.exists(told) and "store is red" in open(told).read(), 20, "the command to have been told")
        check("error: diagnosis: store is red" in daemon.log(), "the log does not say it")
        resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        wait_until(lambda: events(daemon, "store is green again"), 60, "it to be green again", every=0.5)
        check(len(events(daemon, "store is red")) == 1, "the red event is not kept when it can be")


CASES = {one.__name__: one for one in (healthy, no_noise, samples_50, learning_rate_30, flipped_columns, flipped_sign,
                                       stalled_worker, full_disk)}
for name in sys.argv[1:] or CASES:
    begin = time.monotonic()
    CASES[name]()
    print(f"{name}: {time.monotonic() - begin:.0f} s", flush=True)
