"""qzctl replay on a real run: games that began before kills of worker and daemon, before a new net and before a reload
of search settings replay bit for bit; one number changed in a copy of the store is found, with game, ply and field."""
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess

from harness import QZCTL, Daemon, check, wait_until

GAMES = int(os.environ.get("QZD_TEST_REPLAYS", "200"))


def qzctl_on(state, *arguments):
    return subprocess.run([QZCTL, *arguments, "--state", state], capture_output=True, text=True, timeout=120)


def strike(daemon, target):
    """SIGKILL while games are under way, so that some go on from their records."""
    wait_until(lambda: daemon.one("""SELECT count(*) FROM games g WHERE state = 'playing' AND
        EXISTS(SELECT 1 FROM positions p WHERE p.game_id = g.id)"""), 30, "games under way")
    if target == "daemon":
        daemon.kill_all()
        daemon.start()
    else:
        os.kill(daemon.children("worker")[0], signal.SIGKILL)


with Daemon(search={"nodes": 48, "fast_share": 0.2, "fast_nodes": 12},
            selfplay={"workers": 2, "resign": {"threshold": 0.6, "plies": 2, "playout": 0.3}}) as daemon:
    daemon.wait_generation(1)
    for target in ("worker", "daemon", "worker", "daemon"):
        finished = daemon.one("SELECT count(*) FROM games WHERE state = 'finished'")
        strike(daemon, target)
        daemon.wait_games(finished + GAMES // 8)
    # A reload may come when no game under way has a move yet: then once more.
    for attempt in range(40):
        newest = daemon.one("SELECT max(id) FROM games")
        daemon.change_config(search={"nodes": 64 - attempt % 2, "cpuct": 2.0})
        daemon.qzctl("reload")
        wait_until(lambda: daemon.one("SELECT max(id) FROM games WHERE state = 'finished'") > newest + 32, 60, "games")
        if daemon.one(f"""SELECT count(*) FROM games WHERE state = 'finished' AND id > {newest} - 64 AND 1 < (
                SELECT count(DISTINCT s.settings) FROM positions p JOIN searches s ON s.id = p.search_id
                WHERE p.game_id = games.id)"""):
            break
    daemon.wait_games(GAMES)
    daemon.wait_generation(3)

    # The store has what this test is about, and replay says that all of it is as it was recorded; beside the daemon.
    def games_where(condition):
        return daemon.one(f"SELECT count(*) FROM games g WHERE state = 'finished' AND {condition}")
    across = "1 < (SELECT count(DISTINCT s.{}) FROM positions p JOIN searches s ON s.id = p.search_id WHERE p.game_id = g.id)"
    mixed = {what: games_where(condition) for what, condition in {
        "net": across.format("net_id"), "settings": across.format("settings"), "opening": "opening <> ''",
        "resigned": "reason = 'resign'", "fast": "EXISTS(SELECT 1 FROM positions p WHERE p.game_id = g.id AND kind = 'fast')",
    }.items()}
    check(all(mixed.values()), f"some kind of game is missing: {mixed}")
    newest = daemon.one("SELECT max(seq) FROM games")
    found = daemon.json("replay", "--to", str(newest))
    check(found["games"] == {"n": newest, "identical": newest, "close": 0, "different": 0}, found)
    check(newest >= GAMES and found["positions"]["identical"] == found["positions"]["n"], found)
    check(all(program["this"] for program in found["recorded_by"]), found["recorded_by"])
    daemon.stop()

    # Without a daemon, and by name.
    check("identical" in daemon.qzctl("replay", "last").stdout, "replay last")
    uid, number = daemon.rows("SELECT uid, id FROM games WHERE seq = 7")[0]
    check(daemon.json("replay", uid[:12], str(number))["games"]["identical"] == 2, "by uid and id")
    check(daemon.qzctl("replay", ok=None).returncode == 2, "no game named")
    check(daemon.qzctl("replay", "zebra", ok=None).returncode == 1, "no game of that name")

    # One number changed in a copy is found.
    copy = os.path.join(daemon.root, "copy")
    shutil.copytree(daemon.state, copy)
    connection = sqlite3.connect(os.path.join(copy, "qzd.db"), isolation_level=None)
    rng = random.Random(1)
    changes = [("positions", "q", "q + 1e-6"), ("positions", "v", "v - 1e-6"), ("positions", "nodes", "nodes + 1"),
               ("positions", "best_action", "(best_action + 1) % 7"), ("positions", "z", "CASE z WHEN 1 THEN -1 ELSE 1 END"),
               ("games", "first_player_outcome", "CASE first_player_outcome WHEN 1 THEN 0 ELSE 1 END"),
               ("games", "seed", "seed + 1")]
    for table, column, value in changes:
        game_id, plies = rng.choice(connection.execute("SELECT id, plies FROM games WHERE seq <= 60 AND plies > 8 "
                                                       "ORDER BY seq").fetchall())
        ply = rng.randrange(plies - 1)
        connection.execute("BEGIN")
        where = f"game_id = {game_id} AND ply = {ply}" if table == "positions" else f"id = {game_id}"
        old = connection.execute(f"SELECT {column} FROM {table} WHERE {where}").fetchone()[0]
        connection.execute(f"UPDATE {table} SET {column} = {value} WHERE {where}")
        connection.execute("COMMIT")
        done = qzctl_on(copy, "replay", "--json", "--to", "60")
        check(done.returncode == 1, f"{column} changed: exit {done.returncode}\n{done.stdout}{done.stderr}")
        found = json.loads(done.stdout)
        check(found["games"]["different"] == 1, f"{column}: {found['games']}")
        first = found["differences"][0]
        check(first["game"] == game_id, f"{column}: {first}")
        if column != "seed":
            check(first["field"] == column, f"{column} of ply {ply}: {first}")
            check(first["ply"] == (ply if table == "positions" else None), f"{column} of ply {ply}: {first}")
        connection.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (old,))
    print(f"{newest} games replayed: {mixed}")
