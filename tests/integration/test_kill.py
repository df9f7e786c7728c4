"""kill -9 of the daemon, a worker, a training, an evaluation or all at once, at random moments while it runs, with stops,
starts, reloads and pauses between. The harness logs the commits that it saw; after each kill nothing of them may be
missing, changed or double.

QZD_TEST_KILLS sets the number of kills, QZD_TEST_SEED the moments and their order."""
import os
import random
import signal
import time

from harness import SLOW, Daemon, check, check_store, fingerprints, wait_until

KILLS = int(os.environ.get("QZD_TEST_KILLS", "12"))
SEED = int(os.environ.get("QZD_TEST_SEED", str(random.randrange(1 << 30))))
FULL_LOOK_EVERY = 10  # kills; between them only what is new or open is read
TARGETS = ["daemon", "worker", "train", "all", "match"]
rng = random.Random(SEED)
print(f"seed {SEED}, {KILLS} kills", flush=True)


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
        return True
    except ProcessLookupError:
        return False


class Ledger:
    """What was seen committed, and what is held against it."""

    def __init__(self):
        self.finished = {}  # uid -> fingerprint
        self.open = {}      # uid -> (ply, action) pairs of games that were not finished when last seen
        self.newest = 0     # seq
        self.moves = 0      # of games that were not finished when they were seen
        self.looks = 0

    def look(self, daemon, full=False):
        connection = daemon.connect()
        try:
            connection.execute("BEGIN")
            now = fingerprints(connection, 0 if full else self.newest)
            newest = connection.execute("SELECT coalesce(max(seq), 0) FROM games").fetchone()[0]
            moves = {}
            for uid, ply, action in connection.execute("""SELECT g.uid, p.ply, p.action FROM games g JOIN positions p
                    ON p.game_id = g.id WHERE g.seq IS NULL OR g.seq > ?""", (0 if full else self.newest,)):
                moves.setdefault(uid, set()).add((ply, action))
            playing = {row[0] for row in connection.execute("SELECT uid FROM games WHERE seq IS NULL")}
        finally:
            connection.close()
        check(newest >= self.newest, f"seq {self.newest} was seen, {newest} is the newest (seed {SEED})")
        for uid, fingerprint in self.finished.items() if full else ():
            check(uid in now, f"finished game {uid} is gone (seed {SEED})")
            check(now[uid] == fingerprint, f"finished game {uid} has changed (seed {SEED})")
        for uid in now:
            check(full or uid not in self.finished, f"game {uid} has finished twice (seed {SEED})")
        for uid, seen in self.open.items():
            check(uid in moves and seen <= moves[uid], f"committed moves of {uid} are gone (seed {SEED})")
        self.finished.update(now)
        self.open = {uid: moves[uid] for uid in playing if uid in moves}
        self.moves += sum(len(one) for one in self.open.values())
        self.newest = newest
        self.looks += 1


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
    if target in ("train", "match"):  # these are short: wait for one
        end = time.monotonic() + 15 * SLOW
        while time.monotonic() < end:
            pids = daemon.children(target)
            if pids:
                time.sleep(rng.random() * (0.3 if target == "train" else 0.1))
                return kill(rng.choice(pids))
            time.sleep(0.01)
        return False
    pids = daemon.children("worker")
    return bool(pids) and kill(rng.choice(pids))


def disturb(daemon, what):
    """Something that a person does meanwhile."""
    if what == "reload":
        daemon.change_config(targets={"q_ratio": rng.choice([0, 0.25, 0.5, 1])}, search={"nodes": rng.choice([16, 24])})
        daemon.process.send_signal(signal.SIGHUP)
    elif what == "pause":
        daemon.qzctl("pause")
        time.sleep(rng.random() * 0.5)
        daemon.qzctl("resume")
    elif what == "restart":
        daemon.stop(20)
        daemon.start()
    elif what == "stop":  # told to stop, and killed on its way
        daemon.process.send_signal(signal.SIGTERM)
        time.sleep(rng.random() * 0.3)
        daemon.kill_all()
        daemon.start()
    elif what == "train":
        daemon.qzctl("train", ok=None)


began = time.monotonic()
struck = dict.fromkeys(TARGETS, 0)
disturbed = dict.fromkeys(["reload", "pause", "restart", "stop", "train"], 0)
ledger = Ledger()

with Daemon(selfplay={"workers": 2}, training={"checkpoint_seconds": 1}) as daemon:
    while sum(struck.values()) < KILLS:
        n = sum(struck.values())
        target = TARGETS[n % len(TARGETS)]
        end = time.monotonic() + rng.random() * 2
        if rng.random() < 0.5:
            what = rng.choice(sorted(disturbed))
            disturb(daemon, what)
            disturbed[what] += 1
        ledger.look(daemon)
        while time.monotonic() < end:
            time.sleep(rng.random() * 0.3)
            ledger.look(daemon)
        if not strike(daemon, target):
            target = "worker"
            if not strike(daemon, target):
                continue
        struck[target] += 1
        full = (n + 1) % FULL_LOOK_EVERY == 0
        ledger.look(daemon, full)
        if full:
            check_store(daemon)
            print(f"{n + 1} kills, {len(ledger.finished)} finished games, nothing missing or double", flush=True)
        if daemon.process.poll() is not None:
            daemon.start()
        elif target == "worker":
            wait_until(lambda: len(daemon.children("worker")) == 2, 70, "the workers to come back")

    # It still lives: games go on and nets are made.
    daemon.qzctl("resume", ok=None)
    finished = daemon.one("SELECT count(*) FROM games WHERE state = 'finished'")
    wait_until(lambda: daemon.one("SELECT count(*) FROM games WHERE state = 'finished'") > finished + 20, 60, "games")
    generation = daemon.one("SELECT max(generation) FROM nets")
    daemon.wait_generation(generation + 1)
    # No game stays behind: whatever was unfinished at the last look ends in time.
    old = [row["uid"] for row in daemon.rows("SELECT uid FROM games WHERE state = 'playing'")]
    marks = ",".join("?" * len(old))
    wait_until(lambda: daemon.one(f"SELECT count(*) FROM games WHERE state = 'playing' AND uid IN ({marks})", *old) == 0,
               90, "old unfinished games to end")
    ledger.look(daemon, full=True)
    check_store(daemon)
    daemon.stop()  # a running daemon has a minute for a check, and hundreds of kills make a large store
    answer = daemon.json("check")
    check(answer["tallies"] == "ok" and answer["integrity"] == "ok", f"the check says {answer}")
    # Reuse over the whole run is what the settings say, in spite of every kill: of the positions that training.max_samples
    # let each training count. And each new position was new once.
    samples, positions, new, newest = daemon.rows("""SELECT sum(samples), sum(json_extract(settings, '$.new_positions')),
        sum(new_positions), max(all_positions) FROM trainings WHERE state = 'finished'""")[0]
    check(abs(samples / positions / 2 - 1) < 0.05, f"{samples / positions:.3f} samples a position, 2 were asked for")
    check(new == newest, f"{new} positions were new to a training, of {newest}")
    numbers = daemon.rows("""SELECT count(*) AS games, sum(state = 'finished') AS finished, sum(state = 'abandoned') AS abandoned,
        count(DISTINCT seed) AS seeds, count(DISTINCT uid) AS uids FROM games""")[0]
    trainings = dict(daemon.rows("SELECT state, count(*) FROM trainings GROUP BY state"))
    table = [
        ("kills", ", ".join(f"{name} {n}" for name, n in struck.items())),
        ("between them", ", ".join(f"{name} {n}" for name, n in disturbed.items())),
        ("looks at the store", ledger.looks),
        ("finished games that were seen", len(ledger.finished)),
        ("  of them missing, changed or double", 0),
        ("moves of unfinished games, over all looks", ledger.moves),
        ("  of them missing", 0),
        ("games in the store", f"{numbers['games']}: finished {numbers['finished']}, abandoned {numbers['abandoned']}"),
        ("distinct seeds, uids", f"{numbers['seeds']}, {numbers['uids']}"),
        ("trainings", ", ".join(f"{state} {n}" for state, n in sorted(trainings.items()))),
        ("samples a new position (2 asked for)", f"{samples / positions:.3f}"),
        ("integrity, tallies", f"{answer['integrity']}, {answer['tallies']}"),
        ("seconds", f"{time.monotonic() - began:.0f}"),
    ]
    print("\n".join(f"{name:42} {value}" for name, value in table))
