"""Limits of the children by configuration, a pause that survives the daemon's end, retention by bytes."""
import os
import random
import time

from harness import Daemon, check, wait_until


def limit(pid):
    with open(f"/proc/{pid}/limits") as file:
        return next(line.split()[3] for line in file if line.startswith("Max data size"))


def status(daemon, key):
    """Of the running daemon: right after its start it may not be there yet."""
    return wait_until(lambda: daemon.json("status") if daemon.json("status").get("running") else None, 20, "status")[key]


def check_limits(daemon, nice, memory_mib, when):
    """Of every child, soon: one that has just begun gets them from the daemon; one that ends meanwhile is passed over."""
    def held():
        seen = 0
        for pid in daemon.children():
            try:
                is_so = os.getpriority(os.PRIO_PROCESS, pid) == min(own + nice, 19) and limit(pid) == str(memory_mib << 20)
            except (ProcessLookupError, FileNotFoundError, StopIteration):
                continue
            if not is_so:
                return False
            seen += 1
        return seen > 0
    wait_until(held, 10, f"niceness and memory limits of all children {when}")


own = os.getpriority(os.PRIO_PROCESS, 0)
with Daemon(resources={"nice": 3, "memory_mib": 900, "cores": 1}) as daemon:
    daemon.wait_games(3)
    check_limits(daemon, 3, 900, "at the start")
    check(os.getpriority(os.PRIO_PROCESS, daemon.process.pid) == own, "niceness of the daemon")
    check(status(daemon, "slots") == 1, "core slots")

    # a reload reaches those that run
    daemon.change_config(resources={"nice": 5, "memory_mib": 1000, "cores": 1})
    daemon.qzctl("reload", ok=0)
    check_limits(daemon, 5, 1000, "after a reload")

    # paused, it stays so over a kill and a stop
    daemon.qzctl("pause", ok=0)
    wait_until(lambda: daemon.rows("SELECT value FROM run WHERE key = 'paused'")[:1] and
               daemon.one("SELECT value FROM run WHERE key = 'paused'") == "yes", 10, "the pause in the store")
    daemon.kill_all()
    for end in (daemon.kill_all, daemon.stop):
        daemon.start()
        check(status(daemon, "paused"), "not paused after a restart")
        end()
    check(daemon.log().count("as it was before") == 2, "the line that says so")
    daemon.start()
    check(status(daemon, "paused"), "not paused after a clean stop")
    games = daemon.one("SELECT count(*) FROM games WHERE state = 'finished'")
    daemon.qzctl("resume", ok=0)
    daemon.wait_games(games + 3)
    daemon.stop()
    daemon.start()
    check(not status(daemon, "paused"), "paused again")
    daemon.stop()

# Retention: the oldest games go while games and trainings go on, also over kills; nothing else does.
LIMIT = 1_500_000
with Daemon(training={"window": {"c": 400}}) as daemon:
    wait_until(lambda: os.path.getsize(f"{daemon.state}/qzd.db") > 2 * LIMIT, 120, "a store of 3 MB")
    before = daemon.rows("SELECT * FROM progress")[:-3]  # generations that no game is added to any more
    daemon.change_config(retention={"bytes": LIMIT})
    daemon.qzctl("reload", ok=0)
    wait_until(lambda: "retention: dropped" in daemon.log(), 30, "a line of what was dropped")
    for _ in range(3):
        time.sleep(random.random())
        daemon.kill_all()
        daemon.start()
        status(daemon, "running")
        check("tallies:   ok" in daemon.qzctl("check", ok=0).stdout, "tallies after a kill")
    generation = daemon.one("SELECT max(generation) FROM nets")
    daemon.wait_generation(generation + 2)
    daemon.qzctl("pause", ok=0)

    def settled():
        """It fits, or all that may go has gone: a fast machine's window alone may be larger."""
        pages, free, oldest, first = daemon.rows("""
            SELECT (SELECT page_count FROM pragma_page_count), (SELECT freelist_count FROM pragma_freelist_count),
                   (SELECT min(seq) FROM games), (SELECT min(first_seq) FROM trainings
                    WHERE id = (SELECT max(id) FROM trainings) OR state = 'running')""")[0]
        return LIMIT if pages * 4096 <= LIMIT else 4 * LIMIT if oldest == first and free == 0 else None

    fits = wait_until(settled, 60, "a store that fits, or holds the window only")
    daemon.stop()
    size = os.path.getsize(f"{daemon.state}/qzd.db")
    check(size <= fits, f"{size} bytes, retention.bytes is {LIMIT}")
    after = daemon.rows("SELECT * FROM progress")
    for old, new in zip(before, after):
        check(tuple(old)[:8] == tuple(new)[:8], f"progress has changed: {tuple(old)}, {tuple(new)}")
    first, kept = daemon.rows("SELECT (SELECT first_seq FROM trainings ORDER BY id DESC LIMIT 1), min(seq) FROM games")[0]
    check(1 < kept <= first, f"the window begins with {first}, the oldest game is {kept}")
    check(daemon.one("SELECT sum(games) FROM game_tallies") >
          daemon.one("SELECT count(*) FROM games WHERE state = 'finished'"), "nothing was dropped")
    check("tallies:   ok" in daemon.qzctl("check", ok=0).stdout, "tallies at the end")
    check(daemon.one("SELECT count(*) FROM events WHERE what = 'retention'") >= 1, "an event")
