"""A disk that is full, fails or cannot be written, in the middle of games, of a training's checkpoint, of a net's file:
one line says what happened, nothing acknowledged is lost, and all goes on when it works again."""
import errno
import time

from faults import NAMES, SYNCS, WRITES, FaultyDaemon, check, wait_until
from harness import fingerprints


def look(daemon):
    connection = daemon.connect()
    try:
        return fingerprints(connection)
    finally:
        connection.close()


def goes_on_after(daemon, error, part, line, **how):
    """Fail for a second; returns what the log said meanwhile."""
    daemon.mark()
    before = look(daemon)
    with daemon.failing(error, part, **how):
        daemon.wait_line(line)
        status = daemon.json("status")
        time.sleep(1)
        check(daemon.struck() > 0, "nothing failed")
        lines = daemon.lines("error: store")
        check(len(lines) == 1, f"said {len(lines)} times: {lines}")
    daemon.wait_line(r"store: it can be written again after [0-9.]+ s")
    now = look(daemon)
    check(all(now.get(uid) == before[uid] for uid in before), "a finished game is gone or changed")
    finished = daemon.finished()
    wait_until(lambda: daemon.finished() > finished + 5, 30, "games to go on")
    return status


with FaultyDaemon(training={"checkpoint_seconds": 1}) as daemon:
    daemon.wait_games(5)
    # Games: the log of the store is full, then fails, then its fsync does.
    status = goes_on_after(daemon, errno.ENOSPC, "qzd.db", r"error: store: .*self-play waits, nothing is lost")
    check(status["storage"]["blocked"], f"the status says {status['storage']}")
    goes_on_after(daemon, errno.EIO, "qzd.db-wal", r"error: store: .*self-play waits", fails=WRITES)
    goes_on_after(daemon, errno.EIO, "qzd.db-wal", r"error: store: .*self-play waits", fails=SYNCS)
    goes_on_after(daemon, errno.EROFS, "qzd.db", r"error: store: .*self-play waits", fails=WRITES)
    daemon.check_all()
    check(daemon.one("SELECT count(*) FROM events WHERE what = 'store' AND detail LIKE 'it can be written again%'") == 4,
          "events")

    # A training whose checkpoints cannot be written, and one whose net cannot.
    for part in ("checkpoints/", "nets/"):
        daemon.mark()
        with daemon.failing(errno.ENOSPC, part, fails=WRITES | NAMES):
            daemon.wait_line(r"training interrupted: .*" + part + r".*No space left on device", 60)
            # From here on; one may have ended just before the disk was full.
            generation = daemon.one("SELECT max(generation) FROM nets")
            daemon.check_files([row["file"] for row in daemon.rows("SELECT file FROM nets")])
            finished = daemon.finished()
            wait_until(lambda: daemon.finished() > finished + 3, 30, "self-play to go on meanwhile")
            check(daemon.one("SELECT max(generation) FROM nets") == generation, "a net though nothing could be written")
        daemon.wait_line(r"generation %d" % (generation + 1), 60)
        daemon.wait_generation(generation + 1)
        half = [row["file"] for row in daemon.rows("SELECT file FROM nets")]
        daemon.check_files(half)
    daemon.check_all()
    # A stop while the disk is full: it says what is lost, and fails.
    daemon.mark()
    with daemon.failing(errno.ENOSPC, "qzd.db"):
        daemon.wait_line("error: store")
        daemon.process.terminate()
        daemon.process.wait(30)
        check(daemon.process.returncode == 1, f"exit {daemon.process.returncode}")
        daemon.wait_line(r"not written: [0-9]+ records and notes could not be written before the end")
        # And it does not begin on such a disk.
        daemon.start(wait=False)
        daemon.process.wait(30)
        check(daemon.process.returncode == 1, f"began on a full disk: {daemon.process.returncode}")
    before = look(daemon)
    daemon.start()
    daemon.wait_games(len(before) + 5)
    now = look(daemon)
    check(all(now.get(uid) == before[uid] for uid in before), "a finished game is gone or changed")
    daemon.check_all()
