"""Stopped and started again: unfinished games go on from their stored moves, numbers are not used twice,
and the next training counts from the store, not from zero."""
import os
import signal

from harness import Daemon, check, check_store, wait_until

with Daemon(search={"nodes": 200}) as daemon:
    daemon.wait_generation(1)
    daemon.stop()
    check_store(daemon)
    unfinished = {row["uid"]: row["moves"] for row in daemon.rows("""
        SELECT uid, group_concat(action || ':' || q) AS moves
        FROM (SELECT g.uid, p.action, p.q FROM games g JOIN positions p ON p.game_id = g.id
              WHERE g.state = 'playing' ORDER BY g.id, p.ply) GROUP BY uid""")}
    check(len(unfinished) >= 2, f"{len(unfinished)} unfinished games")
    games = daemon.one("SELECT count(*) FROM games")
    trained = daemon.one("SELECT max(all_positions) FROM trainings WHERE state = 'finished'")

    daemon.start()
    marks = ",".join("?" * len(unfinished))
    wait_until(lambda: daemon.one(f"SELECT count(*) FROM games WHERE state = 'finished' AND uid IN ({marks})",
                                  *unfinished) == len(unfinished), 60, "the unfinished games to end")
    for uid, moves in unfinished.items():
        now = daemon.one("""SELECT group_concat(action || ':' || q) FROM (SELECT p.action, p.q FROM games g
            JOIN positions p ON p.game_id = g.id WHERE g.uid = ? ORDER BY p.ply)""", uid)
        check(now.startswith(moves), f"game {uid} did not go on from its stored moves")
    check_store(daemon)
    check(daemon.one("SELECT count(*) FROM games") >= games, "games vanished")

    daemon.wait_generation(2)
    due = daemon.rows("SELECT all_positions, new_positions FROM trainings WHERE state = 'finished' ORDER BY id")[1]
    check(due["all_positions"] - trained == due["new_positions"], "reuse was counted from zero after the restart")
    check(300 <= due["new_positions"] < due["all_positions"], f"{due['new_positions']} new positions at the next training")

    # A worker that is asked to end does so between two messages, by itself.
    exits = daemon.one("SELECT count(*) FROM events WHERE what = 'worker exited'")
    os.kill(daemon.children("worker")[0], signal.SIGTERM)
    wait_until(lambda: daemon.one("SELECT count(*) FROM events WHERE what = 'worker exited'") > exits, 20, "its exit")
    how = daemon.one("SELECT detail FROM events WHERE what = 'worker exited' ORDER BY id DESC LIMIT 1")
    check("exit status 0;" in how, how)
