"""A daemon with a tiny net plays, stores, trains, judges and goes on: the loop, end to end."""
import json

from harness import Daemon, check, check_store

with Daemon(search={"nodes": 64}) as daemon:
    daemon.wait_generation(3)
    check_store(daemon)

    # The training that made each generation says what it did.
    trainings = daemon.rows("SELECT * FROM trainings WHERE state = 'finished' ORDER BY generation")
    check(len(trainings) >= 3, f"{len(trainings)} trainings")
    for training in trainings:
        check(training["q_ratio"] == 0.5, f"q_ratio {training['q_ratio']}")
        check(training["steps"] > 0 and training["policy_loss"] > 0 and training["value_loss"] > 0, "losses")
        check(training["policy_loss"] > training["policy_entropy"] - 0.05, "a loss below the targets' entropy")
        check(training["new_positions"] >= 300, f"due too early: {training['new_positions']} new positions")
        # Of the new positions that training.max_samples lets it count: a slow training finds many.
        counted = json.loads(training["settings"])["new_positions"]
        check(counted == min(training["new_positions"], 2 * 300), f"{counted} of {training['new_positions']} new positions counted")
        drawn = training["samples"] / counted
        check(1.8 <= drawn <= 2.3, f"{drawn} samples a new position, 2 were asked for")
        check(training["last_seq"] >= training["first_seq"] > 0, "window")

    # Values: z alternates and is +1 at the winner's last ply; visits and values are in range.
    for game in daemon.rows("SELECT * FROM games WHERE state = 'finished' ORDER BY seq LIMIT 200"):
        rows = daemon.rows("SELECT * FROM positions WHERE game_id = ? ORDER BY ply", game["id"])
        last = rows[-1]
        mover_first = (game["first_side"] + len(rows) - 1) % 2 == 0
        wanted = game["first_player_outcome"] * (1 if mover_first else -1)
        check(last["z"] == wanted and (wanted == 1 or game["first_player_outcome"] == 0), "z of the last ply")
        for before, after in zip(rows, rows[1:]):
            check(before["z"] == -after["z"], "z does not alternate")
        for row in rows:
            check(-1 <= row["q"] <= 1 and 0 <= row["d"] <= 1 and abs(row["q"]) + row["d"] <= 1 + 1e-5, "q and d")
            check(row["kind"] == "full", row["kind"])
            if row["proven"] is None:
                check(row["nodes"] == 64, f"{row['nodes']} nodes")

    # About half of the games begin behind random moves, which are not recorded as played.
    openings = daemon.rows("SELECT opening, first_side FROM games")
    behind = [row for row in openings if row["opening"]]
    check(0.3 < len(behind) / len(openings) < 0.7, f"{len(behind)} of {len(openings)} games have an opening")
    check(all(row["first_side"] == len(row["opening"]) % 2 for row in openings), "who is to move behind an opening")

    # The policy column decodes and stands on the moves; its visits sum to nodes - 1, less those of moves that were
    # proven to lose (rule 4), so most rows reach it exactly and none exceeds it.
    answer = json.loads(daemon.qzctl(
        "sql", "--json", "SELECT nodes, policy_json(policy) AS p, policy_visits(policy) AS n, action FROM positions "
        "WHERE proven IS NULL AND z IS NOT NULL LIMIT 500").stdout)
    check(len(answer["rows"]) > 100, "too few rows")
    whole = 0
    for nodes, policy, visits, action in answer["rows"]:
        moves = json.loads(policy)
        check(0 < sum(move["visits"] for move in moves) == visits <= nodes - 1, "visits exceed nodes - 1")
        whole += visits == nodes - 1
        check(action in [move["action"] for move in moves], "a move without visits was played")
    check(whole > len(answer["rows"]) / 2, f"only {whole} of {len(answer['rows'])} policies hold nodes - 1 visits")

    # In this run, q of a position and q of the next are of opposite sign (mistake 1).
    corr = daemon.rows("""
        SELECT avg(x * y) - avg(x) * avg(y) AS cov, avg(x * x) - avg(x) * avg(x) AS vx, avg(y * y) - avg(y) * avg(y) AS vy
        FROM (SELECT a.q AS x, -b.q AS y FROM positions a JOIN positions b
              ON b.game_id = a.game_id AND b.ply = a.ply + 1 WHERE a.z IS NOT NULL)""")[0]
    correlation = corr["cov"] / (corr["vx"] * corr["vy"]) ** 0.5
    check(correlation > 0.5, f"corr(q_t, -q_t+1) = {correlation:.2f}")

    # Each new net was judged alone by both suites.
    progress = daemon.json("progress")["rows"]
    judged = [row for row in progress if row["mistakes_net"] is not None and row["value_accuracy"] is not None]
    check(len(judged) >= 2, f"{len(judged)} judged generations of {len(progress)}")
    check(progress[0]["generation"] == 0 and progress[1]["q_ratio"] == 0.5, "progress rows")

    # Where the machine's time went: all three kinds of work are accounted for, suites with what they say of themselves.
    spent = {row["what"]: row["ms"] for row in daemon.rows("SELECT what, ms FROM core_time")}
    check(spent.get("selfplay", 0) > 0 and spent.get("training", 0) > 0, spent)
    suites = daemon.one("SELECT sum(seconds) FROM (SELECT DISTINCT net_id, suite, nodes, seconds FROM evaluations)")
    check(spent.get("evaluation", 0) >= 900 * suites, f"{spent} for {suites:.2f} s of suites")

    # The tallies are what the rows say.
    result = daemon.json("check")
    check(result["tallies"] == "ok" and result["integrity"] == "ok", json.dumps(result))

    seconds = daemon.stop()
    check(seconds < 10, f"SIGTERM took {seconds:.1f} s")
    check_store(daemon)
    check(daemon.one("SELECT count(*) FROM trainings WHERE state = 'failed'") == 0, "a training failed")
