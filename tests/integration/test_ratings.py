"""Nets are rated from matches in pairs: whom they play, what stands in the store of it, a fit over all of it; and
a kill in the middle of a match costs no pair that was committed."""
import os
import signal
import time

from harness import Daemon, check, check_store, wait_until

SETTINGS = {"share": 1, "suites": [], "nodes": 100, "match_pairs": 16, "opponents": [1, 2, "first", "uniform"]}


def pairs(daemon):
    """Every committed pair, with its games' moves."""
    rows = daemon.rows("SELECT * FROM match_pairs")
    moves = {row["id"]: row["moves"] for row in daemon.rows(
        "SELECT g.id, group_concat(p.action) AS moves FROM games g JOIN positions p ON p.game_id = g.id "
        "WHERE g.kind = 'match' AND g.state = 'finished' GROUP BY g.id")}
    return {(row["match_id"], row["pair"]): (row["opening"], row["first_half_points"], row["second_half_points"],
                                             moves[row["first_game"]], moves[row["second_game"]])
            for row in rows}


def check_matches(daemon):
    for row in daemon.rows("""SELECT m.*, (SELECT count(*) FROM match_pairs p WHERE p.match_id = m.id) AS n,
            (SELECT max(pair) + 1 FROM match_pairs p WHERE p.match_id = m.id) AS next FROM matches m"""):
        row = dict(row)
        check(row["pairs"] == row["n"] == (row["next"] or 0), f"pairs of match {row}")
        check(row["wins"] + row["draws"] + row["losses"] == 2 * row["pairs"], f"games of match {row}")
        check(row["verdict"] is None or row["pairs"] == row["planned_pairs"], f"it ended early: {row}")
    check(daemon.one("""SELECT count(*) FROM match_pairs a JOIN match_pairs b ON a.match_id = b.match_id
        AND a.pair < b.pair AND a.opening = b.opening""") == 0, "an opening was played twice")
    check(daemon.one("""SELECT count(*) FROM matches a JOIN matches b ON a.id < b.id AND
        min(a.net_a, a.net_b) = min(b.net_a, b.net_b) AND max(a.net_a, a.net_b) = max(b.net_a, b.net_b)""") == 0,
          "two nets met twice")
    # Every game: net a is to move at even plies of the first game, at odd ones of the second.
    check(daemon.one("""SELECT count(*) FROM match_pairs p JOIN matches m ON m.id = p.match_id
        JOIN positions x ON x.game_id IN (p.first_game, p.second_game) JOIN searches s ON s.id = x.search_id
        WHERE s.net_id <> CASE WHEN (x.game_id = p.second_game) = (x.ply % 2 = 1) THEN m.net_a ELSE m.net_b END""")
          == 0, "a move of the wrong net")
    check(daemon.one("""SELECT count(*) FROM match_pairs p JOIN games g ON g.id = p.first_game
        WHERE p.first_half_points <> 1 + g.first_player_outcome""") == 0, "points of first games")
    check(daemon.one("""SELECT count(*) FROM match_pairs p JOIN games g ON g.id = p.second_game
        WHERE p.second_half_points <> 1 - g.first_player_outcome""") == 0, "points of second games")


with Daemon(evaluation=SETTINGS) as daemon:
    wait_until(lambda: daemon.one("SELECT count(*) FROM matches WHERE verdict = 'counts'") >= 4, 120, "four matches")
    check_matches(daemon)
    check(daemon.one("SELECT count(*) FROM nets WHERE line = 'uniform'") == 1, "the uniform net")
    # Generation 0 is the uniform net's function: nobody plays it, and both have 0.
    first = daemon.one("SELECT id FROM nets WHERE line = 'main' AND generation = 0")
    check(daemon.one("SELECT count(*) FROM matches WHERE ? IN (net_a, net_b)", first) == 0, "generation 0 has played")
    wait_until(lambda: daemon.one("SELECT count(*) FROM ratings") >= 3, 20, "ratings")
    check(daemon.one("SELECT elo FROM ratings WHERE net_id = ?", first) == 0, "generation 0 has a rating of 0")
    check(daemon.one("SELECT count(*) FROM ratings r JOIN nets n ON n.id = r.net_id WHERE line = 'main' AND generation "
                     "> 0 AND (error <= 0 OR games < 32)") == 0, "ratings have errors")
    check(any(row["elo"] is not None and row["elo_error"] for row in daemon.json("progress")["rows"]
              if row["generation"] > 0), "elo in progress")
    check("match" in daemon.log(), "a line a match")

    # Kill the match process, or the daemon, in the middle of matches; nothing committed goes or changes.
    seen = {}
    kills = 0
    while kills < 6:
        now = pairs(daemon)
        for key, what in seen.items():
            check(now.get(key) == what, f"pair {key} was {what}, is {now.get(key)}")
        seen = now
        pids = daemon.children("match")
        running = daemon.rows("SELECT id FROM matches WHERE finished_at IS NULL AND pairs > 0")
        if pids and running:
            if kills % 2 == 0:
                try:
                    os.kill(pids[0], signal.SIGKILL)
                except ProcessLookupError:
                    continue
            else:
                daemon.kill_all()
                daemon.start()
            kills += 1
            match = running[0]["id"]
            wait_until(lambda: daemon.one("SELECT verdict FROM matches WHERE id = ?", match) is not None, 60,
                       f"match {match} to go on and end")
            check_store(daemon)
            check_matches(daemon)
        time.sleep(0.02)
    now = pairs(daemon)
    check(all(now.get(key) == what for key, what in seen.items()), "pairs changed")
    check(daemon.json("check")["tallies"] == "ok", "tallies")

    # The same match by hand gives the same result: nets, openings and settings are all it depends on.
    row = daemon.rows("""SELECT m.*, a.sha256 AS a, b.sha256 AS b FROM matches m JOIN nets a ON a.id = net_a
        JOIN nets b ON b.id = net_b WHERE verdict = 'counts' ORDER BY m.id DESC LIMIT 1""")[0]
    played = daemon.json("match", row["a"], row["b"], "--games", str(2 * row["pairs"]), "--nodes", str(row["nodes"]))
    check((played["wins"], played["draws"], played["losses"], played["distinct_games"]) ==
          (row["wins"], row["draws"], row["losses"], row["distinct_games"]), f"{dict(row)}\n{played}")
    turned = daemon.json("match", row["b"], row["a"], "--games", str(2 * row["pairs"]), "--nodes", str(row["nodes"]))
    check((turned["losses"], turned["draws"], turned["wins"]) == (row["wins"], row["draws"], row["losses"]),
          f"turned: {turned}")
    itself = daemon.json("match", "g1", "g1", "--games", "12", "--nodes", "24")
    check(itself["refused"] and itself["elo"] is None and itself["distinct_games"] == 6, f"g1 against itself: {itself}")
    check(daemon.qzctl("match", "g1", ok=2).returncode == 2, "one net")
    check("pairs" in daemon.qzctl("match", "g1", "uniform", "--games", "7", ok=2).stderr, "an odd number of games")
    daemon.stop()
