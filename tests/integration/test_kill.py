"""kill -9 of the daemon, a worker, a training or all at once, at random moments while it runs. The harness logs
the commits that it saw; after each kill nothing of them may be missing, changed or double.

QZD_TEST_KILLS sets the number of kills, QZD_TEST_SEED the moments."""
import os
import random
import signal
import time

from harness import SLOW, Daemon, alive, check, check_store, fingerprints, wait_until

KILLS = int(os.environ.get("QZD_TEST_KILLS", "12"))
SEED = int(os.environ.get("QZD_TEST_SEED", str(random.randrange(1 << 30))))
rng = random.Random(SEED)
print(f"seed {SEED}, {KILLS} kills")


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
        return True
    except ProcessLookupError:
        return False


def strike(daemon, target):
    """Returns whether there was something to kill."""
    if target == "daemon":
        daemon.kill_all()
        return True
    if target == "all":
        everything = [daemon.process.pid, *daemon.children()]
        rng.shuffle(everything)
        for pid in everything:
            kill(pid)
        daemon.process.wait()
        return True
    if target == "train":  # a training is short: wait for one
        end = time.monotonic() + 20 * SLOW
        while time.monotonic() < end:
            pids = daemon.children("train")
            if pids:
                time.sleep(rng.random() * 0.3)
                return kill(rng.choice(pids))
            time.sleep(0.02)
        return False
    pids = daemon.children("worker")
    return bool(pids) and kill(rng.choice(pids))


seen = {}      # uid -> fingerprint of every finished game that was ever committed
started = {}   # uid -> (ply, action) pairs of every unfinished game that was ever committed
struck = {"daemon": 0, "worker": 0, "train": 0, "all": 0}

with Daemon(selfplay={"workers": 2}) as daemon:

    def look():
        """Log what is committed now, and hold it against all that was logged before."""
        connection = daemon.connect()
        try:
            connection.execute("BEGIN")
            now = fingerprints(connection)
            playing = {}
            for uid, ply, action in connection.execute("""SELECT g.uid, p.ply, p.action FROM games g
                    JOIN positions p ON p.game_id = g.id"""):
                playing.setdefault(uid, set()).add((ply, action))
        finally:
            connection.close()
        for uid, fingerprint in seen.items():
            check(uid in now, f"finished game {uid} is gone (seed {SEED})")
            check(now[uid] == fingerprint, f"finished game {uid} has changed (seed {SEED})")
        for uid, moves in started.items():
            check(uid in playing and moves <= playing[uid], f"committed moves of {uid} are gone (seed {SEED})")
        seen.update(now)
        started.update(playing)

    targets = ["daemon", "worker", "train", "all"]
    while sum(struck.values()) < KILLS:
        target = targets[sum(struck.values()) % 4]
        end = time.monotonic() + rng.random() * 2.5
        look()
        while time.monotonic() < end:
            time.sleep(rng.random() * 0.3)
            look()
        if not strike(daemon, target):
            target = "worker"
            if not strike(daemon, target):
                continue
        struck[target] += 1
        look()
        check_store(daemon)
        if daemon.process.poll() is not None:
            daemon.start()
        else:
            wait_until(lambda: len(daemon.children("worker")) == 2, 20, "the workers to come back")

    # It still lives: games go on and nets are made.
    finished = len(seen)
    wait_until(lambda: daemon.one("SELECT count(*) FROM games WHERE state = 'finished'") > finished + 20, 60, "games")
    generation = daemon.one("SELECT max(generation) FROM nets")
    daemon.wait_generation(generation + 1)
    look()
    check_store(daemon)
    check(daemon.json("check")["tallies"] == "ok", "tallies differ from the rows")
    # No game stays behind: whatever was unfinished at the last look ends in time.
    old = [row["uid"] for row in daemon.rows("SELECT uid FROM games WHERE state = 'playing'")]
    marks = ",".join("?" * len(old))
    wait_until(lambda: daemon.one(f"SELECT count(*) FROM games WHERE state = 'playing' AND uid IN ({marks})", *old) == 0,
               90, "old unfinished games to end")
    # Reuse over the whole run is what the setting says, in spite of every kill.
    samples, positions = daemon.rows(
        "SELECT sum(samples), sum(new_positions) FROM trainings WHERE state = 'finished'")[0]
    check(abs(samples / positions / 2 - 1) < 0.05, f"{samples / positions:.3f} samples a position, 2 were asked for")
    print(f"struck {struck}; {len(seen)} finished games seen, none missing, changed or double")
