"""Limits of the children by configuration, and a pause that survives the daemon's end."""
import os

from harness import Daemon, check, wait_until


def limit(pid):
    with open(f"/proc/{pid}/limits") as file:
        return next(line.split()[3] for line in file if line.startswith("Max data size"))


def status(daemon, key):
    """Of the running daemon: right after its start it may not be there yet."""
    return wait_until(lambda: daemon.json("status") if daemon.json("status").get("running") else None, 20, "status")[key]


own = os.getpriority(os.PRIO_PROCESS, 0)
with Daemon(resources={"nice": 3, "memory_mib": 900, "cores": 1}) as daemon:
    daemon.wait_games(3)
    found = daemon.children()
    check(found, "no children")
    for pid in found:
        check(os.getpriority(os.PRIO_PROCESS, pid) == min(own + 3, 19), "niceness of a child")
        check(limit(pid) == str(900 << 20), f"memory limit {limit(pid)}")
    check(os.getpriority(os.PRIO_PROCESS, daemon.process.pid) == own, "niceness of the daemon")
    check(status(daemon, "slots") == 1, "core slots")

    # a reload reaches those that run
    daemon.change_config(resources={"nice": 5, "memory_mib": 1000, "cores": 1})
    daemon.qzctl("reload", ok=0)
    for pid in daemon.children():
        check(os.getpriority(os.PRIO_PROCESS, pid) == min(own + 5, 19), "niceness after a reload")
        check(limit(pid) == str(1000 << 20), f"memory limit {limit(pid)} after a reload")

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
