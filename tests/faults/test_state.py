"""What is taken away or changed below a daemon: its state directory, the net that plays, a training's checkpoint, the wall
clock; and an outside sqlite3 that opens and closes the store while processes are killed."""
import errno
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import threading
import time

from faults import NAMES, FaultyDaemon, check, check_store, wait_until
from harness import fingerprints


def look(daemon):
    connection = daemon.connect()
    try:
        return fingerprints(connection)
    finally:
        connection.close()


def nothing_lost(daemon, before):
    now = look(daemon)
    check(all(now.get(uid) == before[uid] for uid in before), "a finished game is gone or changed")
    return now


def damage(path):
    """A few bytes in the middle; returns the file as it was."""
    with open(path, "r+b") as file:
        good = file.read()
        file.seek(len(good) // 2)
        file.write(b"\xff\xff\xff\xff\xff\xff\xff\xff")
    return good


with FaultyDaemon() as daemon:
    daemon.wait_generation(1)

    # The net's file is damaged while it plays: who has it plays on; who must read it says so and waits; put back, all
    # goes on by itself.
    daemon.qzctl("pause")
    wait_until(lambda: daemon.json("status")["training"]["state"] == "none" and not daemon.children("train"), 30,
               "the training to end")
    name = f"nets/{daemon.json('status')['net_sha256']}.safetensors"
    path = os.path.join(daemon.state, name)
    good = damage(path)
    daemon.qzctl("resume")
    finished = daemon.finished()
    wait_until(lambda: daemon.finished() > finished + 3, 30, "games of those who have the net")
    daemon.mark()
    os.kill(daemon.children("worker")[0], signal.SIGKILL)
    daemon.wait_line(r"worker failed: worker 0: .*" + os.path.basename(name))
    check(daemon.process.poll() is None, "the daemon ended")
    with open(path, "wb") as file:
        file.write(good)
    finished = daemon.finished()
    wait_until(lambda: daemon.finished() > finished + 5, 60, "games with the net that was put back")
    daemon.wait_generation(daemon.one("SELECT max(generation) FROM nets") + 1)
    before = nothing_lost(daemon, {})

    # A clock that jumps by days, forth and back: nothing is lost, nothing waits for it.
    daemon.mark()
    for days in (3, -400, 0):
        daemon.set_clock(days * 86400)
        finished = daemon.finished()
        generation = daemon.one("SELECT max(generation) FROM nets")
        wait_until(lambda: daemon.finished() > finished + 10, 20, "games after a jump of the clock")
        daemon.wait_generation(generation + 1, 40)
        check(0 <= daemon.json("status")["uptime_s"] < 600, "the uptime follows the wall clock")
    check(not daemon.lines(r"silent process|error: worker|training (failed|exited)"), "the clock was taken for a fault")
    before = nothing_lost(daemon, before)
    daemon.check_all()

    # Checkpoints damaged while nobody looks: one line, and the training begins with less.
    daemon.stop()
    for checkpoint in os.listdir(os.path.join(daemon.state, "checkpoints")):
        damage(os.path.join(daemon.state, "checkpoints", checkpoint))
    daemon.mark()
    generation = daemon.one("SELECT max(generation) FROM nets")
    daemon.start()
    daemon.wait_line(r"warning: training: .*\.ckpt: damaged: its checksum is wrong; the training begins ", 60)
    daemon.wait_generation(generation + 1)
    check(daemon.one("SELECT count(*) FROM events WHERE what = 'training' AND detail LIKE '%checksum%'") > 0, "events")

    # An outside sqlite3 opens and closes the store all the time while workers and the daemon are killed.
    stop = threading.Event()

    def outside():
        while not stop.is_set():
            subprocess.run(["sqlite3", f"{daemon.state}/qzd.db", "SELECT count(*) FROM games"], capture_output=True,
                           timeout=60)
            time.sleep(0.02)

    reader = threading.Thread(target=outside)
    reader.start()
    try:
        for target in ["worker", "daemon", "worker", "daemon", "daemon"]:
            time.sleep(random.random() * 0.7)
            before = nothing_lost(daemon, before)
            daemon.json("progress")  # opens and closes the store within the daemon
            before = nothing_lost(daemon, before)
            if target == "daemon":
                daemon.kill_all()
                daemon.start()
            else:
                for pid in daemon.children("worker"):
                    os.kill(pid, signal.SIGKILL)
            before = nothing_lost(daemon, before)
        check(os.path.exists(f"{daemon.state}/qzd.db-wal"), "the log was deleted below the daemon")
    finally:
        stop.set()
        reader.join()
    finished = daemon.finished()
    wait_until(lambda: daemon.finished() > finished + 5, 40, "games")
    before = nothing_lost(daemon, before)
    daemon.check_all()

    # A state directory that cannot be written at the start: refused with a sentence.
    daemon.stop()
    for part, what in ((daemon.state + "/lock", "lock"), (daemon.state + "/qzd.db", "qzd.db")):
        daemon.mark()
        with daemon.failing(errno.EROFS, part, fails=NAMES):
            daemon.start(wait=False)
            daemon.process.wait(30)
            check(daemon.process.returncode == 1, f"{what}: exit {daemon.process.returncode}")
            daemon.wait_line(r"qzd: .*/" + what + r": .*([Rr]ead-only|cannot be opened for writing)", 5)
    daemon.start()
    nothing_lost(daemon, before)

    # The state directory is moved away while it runs: it stops, says so, and what it had is in the moved one.
    daemon.mark()
    moved = daemon.state + "-moved"
    os.rename(daemon.state, moved)
    daemon.process.wait(30)
    check(daemon.process.returncode == 1, f"exit {daemon.process.returncode} without a state directory")
    daemon.wait_line(r"error: state directory: .*qzd\.db is not the store any more that was opened", 5)
    check(not os.path.exists(os.path.join(daemon.state, "qzd.db")), "a new store was begun")
    shutil.rmtree(daemon.state, ignore_errors=True)
    os.rename(moved, daemon.state)
    check_store(daemon)
    before = nothing_lost(daemon, before)
    daemon.start()
    finished = daemon.finished()
    wait_until(lambda: daemon.finished() > finished + 5, 40, "games in the directory that was put back")
    nothing_lost(daemon, before)
    daemon.check_all()
