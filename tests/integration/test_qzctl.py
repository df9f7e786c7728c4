"""qzctl as a person uses it, with a daemon running and without one; and curl on the same socket."""
import json
import os
import subprocess

from harness import BUILD, QZCTL, Daemon, check, wait_until

SUITES = os.path.join(os.path.dirname(__file__), "..", "..", "etc", "suites")

with Daemon() as daemon:
    daemon.wait_generation(1)

    status = daemon.json("status")
    check(status["generation"] >= 1 and status["games"] > 0, status)
    check("generation" in daemon.qzctl("status").stdout, "status for people")
    check("mistakes" in daemon.qzctl("progress").stdout, "progress for people")

    # Pause frees the processor; resume goes on.
    daemon.qzctl("pause")
    wait_until(lambda: daemon.json("status")["paused"], 10, "paused in status")
    wait_until(lambda: not daemon.children("train"), 60, "the running training to end")

    def quiet():
        before = daemon.one("SELECT count(*) FROM positions")
        import time
        time.sleep(2.5)
        return daemon.one("SELECT count(*) FROM positions") == before
    wait_until(quiet, 30, "self-play to pause", every=0)
    daemon.qzctl("resume")
    before = daemon.one("SELECT count(*) FROM positions")
    wait_until(lambda: daemon.one("SELECT count(*) FROM positions") > before, 20, "self-play to go on")

    # train: now, though it is not due.
    trainings = daemon.one("SELECT count(*) FROM trainings")
    daemon.qzctl("train")
    wait_until(lambda: daemon.one("SELECT count(*) FROM trainings") > trainings, 20, "the training asked for")

    # sql: read only, limited, exact.
    check(daemon.json("sql", "SELECT 9007199254740993 AS big, NULL AS absent, 'x' AS text")["rows"]
          == [[9007199254740993, None, "x"]], "sql values")
    check(daemon.qzctl("sql", "DELETE FROM games", ok=None).returncode != 0, "sql could write")
    check(daemon.qzctl("sql", "SELECT nonsense FROM nowhere", ok=None).returncode == 1, "an error in sql is exit 1")
    slow = daemon.qzctl("sql", "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
                        ok=None)
    check(slow.returncode != 0, "an endless statement ended well")
    check("3" in daemon.qzctl("sql", text="SELECT 1 + 2;\n").stdout, "sql from standard input")

    # curl on the same socket.
    done = subprocess.run(["curl", "-sS", "--unix-socket", os.path.join(daemon.state, "qzd.sock"), "http://qzd/status"],
                          capture_output=True, text=True, timeout=30)
    check(json.loads(done.stdout)["generation"] >= 1, done.stdout + done.stderr)

    def common():
        """Works with a daemon and without."""
        check(daemon.json("status")["generation"] >= 1, "status")
        check(len(daemon.json("progress")["rows"]) >= 2, "progress")
        check(daemon.json("sql", "SELECT count(*) FROM games")["rows"][0][0] > 0, "sql")
        check(daemon.json("check")["integrity"] == "ok", "check")
        games = daemon.json("games", "--limit", "3")["rows"]
        check(len(games) == 3 and games[0]["seq"] > games[2]["seq"], games)
        shown = daemon.json("show", games[0]["uid"])
        check(len(shown["positions"]) == games[0]["plies"], f"{len(shown['positions'])} positions of {games[0]}")
        check("player won" in daemon.qzctl("show", "last").stdout or "a draw" in daemon.qzctl("show", "last").stdout, "show")
        nets = daemon.json("nets")["rows"]
        trained = [net for net in nets if net["line"] == "main" and net["generation"] == 1]
        check(nets[-1]["file_bytes"] > 0 and trained[0]["steps"] > 0, nets)
        # 4 1 4 2 4 3: the first player has three in column 4 and wins there at once.
        found = daemon.json("analyse", "--nodes", "200", "44")
        check("q" in found, found)
        found = daemon.json("analyse", "--nodes", "200", "414243")
        check(found["best"] == "4", f"the win in column 4 was not found: {found}")
        alone = daemon.json("analyse", "--nodes", "0", "44")
        check(alone["nodes"] == 0 and abs(sum(move["prior"] for move in alone["moves"]) - 1) < 1e-3, alone)
        lines = daemon.qzctl("analyse", "--nodes", "24", "--batch", "-", text="44\n4455\n\n1\n").stdout.splitlines()
        check(len([json.loads(line) for line in lines if line]) >= 3, lines)
        check(daemon.qzctl("analyse", "48", ok=None).returncode != 0, "column 8 was taken for a move")
        moves_out = os.path.join(daemon.root, "moves")
        result = daemon.json("suite", "--nodes", "0", "--moves-out", moves_out, os.path.join(SUITES, "connect4.mask"))
        masks = [line.split()[2] for line in open(os.path.join(SUITES, "connect4.mask"))]
        chosen = [line.strip().split()[-1] for line in open(moves_out)]
        mistakes = sum(mask[int(move) - 1] == "0" for mask, move in zip(masks, chosen)) / len(masks)
        check(len(chosen) == 1000 and abs(result["mistakes"] - mistakes) < 1e-9, f"{result} against {mistakes}")
        values = daemon.json("suite", "--nodes", "0", os.path.join(SUITES, "connect4-values.csv"))
        check(0 <= values["value_accuracy"] <= 1 and values["value_cross_entropy"] > 0, values)

    def snapshot(name):
        """A copy that is a store of its own; while it is made the daemon goes on writing."""
        copy = os.path.join(daemon.root, name)
        os.mkdir(copy)
        file = os.path.join(copy, "qzd.db")
        before = daemon.one("SELECT count(*) FROM games")
        made = daemon.json("snapshot", "--check", file)
        check(made["bytes"] == os.path.getsize(file) and made["checked"], made)
        games = daemon.one("SELECT count(*) FROM games")
        done = subprocess.run([QZCTL, "--state", copy, "sql", "--csv", "SELECT count(*) FROM games"], capture_output=True,
                              text=True, timeout=60)
        check(before <= int(done.stdout.split()[1]) <= games, f"{done.stdout} of {before} to {games} games")
        done = subprocess.run([QZCTL, "--state", copy, "check"], capture_output=True, text=True, timeout=60)
        check(done.returncode == 0, done.stdout + done.stderr)
        check(daemon.qzctl("snapshot", file, ok=None).returncode == 1, "a snapshot was replaced")
        check(os.listdir(copy) == ["qzd.db"], os.listdir(copy))

    common()
    snapshot("copy")
    daemon.stop()
    common()
    snapshot("copy-at-rest")
    check(daemon.qzctl("pause", ok=None).returncode == 3, "pause without a daemon")
    check(daemon.qzctl("nonsense", ok=None).returncode == 2, "an unknown command")
    for command in ("status", "progress", "sql", "analyse", "suite", "pause", "reload"):
        helped = subprocess.run([os.path.join(BUILD, "qzctl"), command, "--help"], capture_output=True, text=True, timeout=30)
        check(helped.returncode == 0 and command in helped.stdout, f"{command} --help")
