"""Gates: without one each trained net plays; with one a candidate waits for its match, is accepted or rejected, also
across a kill; a rejected net does not play, training goes on from it, and its generation's number is given again."""
import time

from harness import Daemon, check, check_store, wait_until

MATCHES = {"share": 1, "suites": [], "nodes": 24, "opponents": [], "gate_pairs": 10}
# The daemon that is killed needs a match that takes a while.
LONG = dict(MATCHES, gate="elo", nodes=300, gate_pairs=60)


def states(daemon):
    return {row["state"]: row["n"] for row in daemon.rows(
        "SELECT state, count(*) AS n FROM nets WHERE line = 'main' GROUP BY state")}


def check_line(daemon):
    """One current net, the newest generation of those that are not rejected or waiting; no gap below it."""
    rows = daemon.rows("SELECT generation, state FROM nets WHERE line = 'main' AND state IN ('current', 'old') ORDER BY id")
    check([row["generation"] for row in rows] == list(range(len(rows))), "a generation is missing or double")
    check([row["state"] for row in rows[:-1]] == ["old"] * (len(rows) - 1) and rows[-1]["state"] == "current",
          "the current net is not the newest")
    check(daemon.one("SELECT count(*) FROM nets WHERE state = 'candidate'") <= 1, "two candidates")
    # Nobody plays self-play with a net that is not accepted.
    check(daemon.one("""SELECT count(*) FROM positions p JOIN games g ON g.id = p.game_id JOIN searches s
        ON s.id = p.search_id JOIN nets n ON n.id = s.net_id
        WHERE g.kind = 'selfplay' AND n.state IN ('rejected', 'candidate')""") == 0, "a rejected net plays")
    # Every gate's match stands, ended in the same commit as its net's fate.
    check(daemon.one("""SELECT count(*) FROM nets n WHERE state IN ('current', 'old', 'rejected') AND line = 'main'
        AND generation > 0 AND NOT EXISTS(SELECT 1 FROM matches m WHERE m.net_a = n.id AND m.purpose = 'gate'
        AND m.verdict = CASE n.state WHEN 'rejected' THEN m.verdict ELSE 'accepted' END)""") == 0, "a net without its gate")
    # Training always goes on from the net that was trained last.
    check(daemon.one("""SELECT count(*) FROM nets n WHERE line = 'main' AND generation > 0 AND parent_id <>
        (SELECT max(id) FROM nets o WHERE o.line = 'main' AND o.id < n.id)""") == 0, "the parent is another net")
    check(daemon.one("""SELECT count(*) FROM trainings t JOIN nets n ON n.id = t.net_id
        WHERE n.parent_id <> t.parent_id OR n.generation <> t.generation""") == 0, "trainings and nets differ")


def run_gate(gate, needed, seconds):
    with Daemon(evaluation=dict(MATCHES, gate=gate)) as daemon:
        wait_until(lambda: all(states(daemon).get(state, 0) >= n for state, n in needed.items()), seconds, f"{gate}: {needed}")
        check_line(daemon)
        check_store(daemon)
        check("passed its gate" in daemon.log(), "a line for the candidate")
        if "rejected" in needed:
            wait_until(lambda: daemon.one("SELECT count(*) FROM events WHERE what = 'net rejected'") >= 1, 10,
                       "an event for a rejection")  # in the next commit
        for row in daemon.rows("SELECT * FROM match_results WHERE purpose = 'gate' AND verdict IS NOT NULL"):
            row = dict(row)
            if gate == "elo" and row["verdict"] != "refused":
                check(row["pairs"] == 10 and (row["score"] > 0.5) == (row["verdict"] == "accepted"), f"elo: {row}")
            if gate == "sprt" and row["verdict"] != "refused":
                check((row["llr"] >= 2.94) == (row["verdict"] == "accepted"), f"sprt: {row}")
        shown, wanted = daemon.rows("""SELECT (SELECT count(*) FROM progress), (SELECT count(*) FROM nets
            WHERE line = 'main' AND state IN ('current', 'old', 'candidate'))""")[0]  # one look: trainings go on
        check(shown == wanted, f"progress shows {shown} nets, the line has {wanted}")
        check(daemon.json("check")["tallies"] == "ok", "tallies")


with Daemon(evaluation=MATCHES) as daemon:  # none
    daemon.wait_generation(2)
    check(set(states(daemon)) == {"current", "old"}, f"no gate: {states(daemon)}")
    check(daemon.one("SELECT count(*) FROM matches") == 0, "no opponents, no gate: no matches")
run_gate("elo", {"old": 2, "rejected": 1}, 180)
# Ten pairs never convince the test of 20 Elo: every net is rejected, training goes on.
run_gate("sprt", {"rejected": 3}, 120)

with Daemon(evaluation=LONG) as daemon:
    # Newly begun, so that it is not decided before the kill.
    running = "SELECT net_a FROM matches WHERE finished_at IS NULL AND pairs BETWEEN 1 AND 20"
    wait_until(lambda: daemon.rows(running), 60, "a gate's match")
    candidate = daemon.one("SELECT id FROM nets WHERE state = 'candidate'")
    before = daemon.rows("SELECT match_id, pair, first_fingerprint FROM match_pairs ORDER BY match_id, pair")
    daemon.kill_all()
    daemon.start()
    status = daemon.json("status")["evaluation"]
    check(status["candidate"] in (candidate, None), f"{status}")
    wait_until(lambda: daemon.one("SELECT state FROM nets WHERE id = ?", candidate) != "candidate", 60, "its decision")
    after = daemon.rows("SELECT match_id, pair, first_fingerprint FROM match_pairs ORDER BY match_id, pair")
    check([tuple(row) for row in after[:len(before)]] == [tuple(row) for row in before], "pairs from before the kill")
    check(daemon.one("SELECT count(*) FROM matches WHERE net_a = ?", candidate) == 1, "the same match went on")
    # The gate is taken away while a candidate waits: it is decided still, the next net plays at once.
    wait_until(lambda: daemon.one("SELECT count(*) FROM nets WHERE state = 'candidate'"), 60, "another candidate")
    other = daemon.one("SELECT id FROM nets WHERE state = 'candidate'")
    daemon.change_config(evaluation={"gate": "none"})
    daemon.qzctl("reload")
    wait_until(lambda: daemon.one("SELECT state FROM nets WHERE id = ?", other) != "candidate", 60, "its decision")
    wait_until(lambda: daemon.one("SELECT count(*) FROM nets WHERE id > ? AND state = 'current'", other), 60, "a net without a gate")
    check(daemon.one("SELECT count(*) FROM matches WHERE net_a > ?", other) == 0, "a gate's match after all")
    daemon.stop()
