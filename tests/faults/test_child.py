"""Children that hang, flood, send garbage, half a message, another's game or what the rules forbid: one line says so, the
child is ended and comes back after a growing delay, and nothing of what it sent is in the store."""
import os
import signal
import time

from faults import FaultyDaemon, check, wait_until
from harness import alive, fingerprints

FAKE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fake_child.py")
COMES_BACK = r"warning: worker exited: worker 0: .*go on in a new one"

# how it behaves, and the line that must say so
WAYS = [
    ("garbage", r"worker exited: worker 0: a message of \d+ bytes; 1 to \d+ are allowed"),
    ("no-message", r"worker exited: worker 0: it sent a message of 40 bytes that is none"),
    ("half", r"worker exited: worker 0: exit status 0 in the middle of a message"),
    ("huge", r"worker exited: worker 0: a message of 2147483647 bytes"),
    ("empty", r"worker exited: worker 0: a message of 0 bytes"),
    ("crash", r"worker exited: worker 0: killed by signal 6"),
    ("other-version", r"worker 0 speaks version 99, not 1"),
    ("another-role", r"worker 0 sent what is not a worker's to say"),
    ("illegal", r"record refused: worker 0, game \w+: ply \d+: move 9 is not legal there; the worker is killed"),
    ("illegal-visits", r"record refused: worker 0, game \w+: ply \d+: visits of move 10, which is not legal"),
    ("hole", r"record refused: worker 0, game \w+: ply \d+ does not follow \d+ known moves"),
    ("no-move", r"record refused: worker 0, game \w+: it ends by \"rules\" with 1, which the rules do not say"),
    ("wrong-end", r"record refused: worker 0, game \w+: its end speaks of \d+ plies, \d+ are known"),
    ("wrong-values", r"record refused: worker 0, game \w+: .*q is 7, not -1 to 1"),
    ("wrong-net", r"record refused: worker 0, game \w+: .*"),
]


def look(daemon):
    connection = daemon.connect()
    try:
        return fingerprints(connection)
    finally:
        connection.close()


def untouched(daemon, before):
    now = look(daemon)
    check(all(now.get(uid) == before[uid] for uid in before), "what the child sent has changed a finished game")
    played = {row["uid"] for row in daemon.rows("SELECT uid FROM games WHERE kind = 'selfplay' AND state = 'finished'")}
    check(played <= set(before), "what the child sent has finished a game")
    daemon.check_all()


with FaultyDaemon(patience={"worker": 5, "training": 5}, selfplay={"openings": {"share": 0}}) as daemon:
    daemon.wait_games(5)

    # A worker that hangs: its games go on in the next one.
    daemon.mark()
    worker = daemon.children("worker")[0]
    os.kill(worker, signal.SIGSTOP)
    daemon.wait_line(r"silent process: worker 0 \(%d\) has said nothing for 5 s: it is killed and started again" % worker, 20)
    wait_until(lambda: not alive(worker), 10, "its end")
    finished = daemon.finished()
    wait_until(lambda: daemon.finished() > finished + 5, 30, "games in the next worker")
    # A daemon that was itself stopped for longer blames nobody.
    daemon.mark()
    daemon.process.send_signal(signal.SIGSTOP)
    time.sleep(7)
    daemon.process.send_signal(signal.SIGCONT)
    finished = daemon.finished()
    wait_until(lambda: daemon.finished() > finished + 5, 30, "games behind a stopped daemon")
    check(not daemon.lines("silent process"), "a child was blamed for its daemon's sleep")
    daemon.stop()
    before = look(daemon)

    # Workers that are something else.
    daemon.environment["QZD_FAULTS_CHILD"] = f"worker {FAKE}"
    for way, line in WAYS:
        daemon.environment["QZD_FAKE"] = way
        daemon.mark()
        daemon.start()
        daemon.wait_line(line)
        daemon.wait_line(COMES_BACK)
        untouched(daemon, before)
        daemon.stop()
    check(daemon.one("SELECT count(*) FROM events WHERE what = 'record refused'") >= 7, "events")

    # A start that is not the one that was asked for; more games side by side, so that one is fresh.
    daemon.change_config(selfplay={"games_per_worker": 16})
    daemon.environment["QZD_FAKE"] = "wrong-start"
    daemon.mark()
    daemon.start()
    daemon.wait_line(r"record refused: worker 0, game \w+: its start speaks of another game \(selfplay, connect4, seed")
    untouched(daemon, before)
    daemon.stop()
    daemon.change_config(selfplay={"games_per_worker": 8})

    # One that never says hello: again and again, with growing delays.
    daemon.environment["QZD_FAKE"] = "silent"
    daemon.mark()
    daemon.start()
    daemon.wait_line(r"silent process: worker 0 \(\d+\) has said nothing for 5 s", 20)
    daemon.wait_line(r"worker exited: worker 0: killed by signal 9")
    untouched(daemon, before)
    daemon.stop()

    # One that speaks of games that are not its own: all is dropped.
    daemon.environment["QZD_FAKE"] = "another-game"
    daemon.mark()
    daemon.start()
    daemon.wait_line(r"fake: all said")
    check(daemon.json("status")["storage"]["dropped"] == 3000, "records of others were taken")
    untouched(daemon, before)
    daemon.stop()

    # One that floods log and events: some lines are passed on, the others counted.
    daemon.environment["QZD_FAKE"] = "flood"
    daemon.mark()
    daemon.start()
    daemon.wait_line(r"left out: worker 0: \d+ lines and events beyond 20 in 10 s are not passed on", 30)
    check(len(daemon.lines("again")) <= 60, f"{len(daemon.lines('again'))} lines were passed on")
    check(daemon.one("SELECT count(*) FROM events WHERE what = 'fake'") <= 60, "events were passed on")
    untouched(daemon, before)
    daemon.stop()
    del daemon.environment["QZD_FAULTS_CHILD"]

    # A training that never says a word.
    daemon.environment["QZD_FAULTS_CHILD"] = f"train {FAKE}"
    daemon.environment["QZD_FAKE"] = "silent"
    daemon.mark()
    daemon.start()
    daemon.qzctl("train", ok=None)
    daemon.wait_line(r"silent process: the process of the training \(\d+\) has said nothing for 5 s", 30)
    daemon.wait_line(r"training exited: generation \d+: killed by signal 9")
    daemon.stop()
    del daemon.environment["QZD_FAULTS_CHILD"]

    # And with true children all goes on, the training too.
    generation = daemon.one("SELECT max(generation) FROM nets")
    daemon.start()
    daemon.wait_games(len(before) + 10)
    daemon.wait_generation(generation + 1)
    now = look(daemon)
    check(all(now.get(uid) == before[uid] for uid in before), "a finished game is gone or changed")
    daemon.check_all()
