"""A real qzd for integration tests: starts the built daemon on a scratch state directory with a tiny net,
asks its store and its socket, and ends it. Nothing here is mocked; a test is a script whose exit code counts.

    from harness import Daemon, check, wait_until
    with Daemon(search={"nodes": 32}) as daemon:
        wait_until(lambda: daemon.one("SELECT count(*) FROM games WHERE state = 'finished'") > 5, 30, "games")
"""
import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time

BUILD = os.environ.get("QZD_BUILD_DIR", os.path.join(os.path.dirname(__file__), "..", "..", "build"))
QZD = os.path.abspath(os.path.join(BUILD, "qzd"))
QZCTL = os.path.abspath(os.path.join(BUILD, "qzctl"))
# Sanitized builds are several times slower; every deadline below is stretched by this.
SLOW = float(os.environ.get("QZD_TEST_SLOWNESS", "1"))

# Small enough that a generation takes about two seconds.
TINY = {
    "game": "connect4",
    "seed": 1,
    "network": {"blocks": 1, "filters": 8, "se_ratio": 4, "value_filters": 2, "value_hidden": 8},
    "search": {"nodes": 24, "fast_share": 0},  # every position counts, as tests count them
    "selfplay": {"workers": 1, "games_per_worker": 8, "cache_entries": 20000},
    "targets": {"q_ratio": 0.5},
    "training": {
        "first": 300,
        "every": {"min": 300, "max": 300},
        "window": {"c": 1000},
        "batch": 64,
        "samples_per_position": 2,
        "refresh_positions": 128,
    },
    "evaluation": {"nodes": 24},
}


def check(condition, message):
    """An assertion that survives python -O and says what it saw."""
    if not condition:
        raise AssertionError(message)


def wait_until(condition, seconds, what, every=0.1):
    """Poll until condition() is true; its last value is returned. A deadline is a failure, not a skip."""
    end = time.monotonic() + seconds * SLOW
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds * SLOW:.0f} s for {what}")
        time.sleep(every)


def merged(base, changes):
    """base with changes laid over it, section by section."""
    result = {key: dict(value) if isinstance(value, dict) else value for key, value in base.items()}
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = value
    return result


class Daemon:
    """One state directory and the daemon that runs on it, through any number of starts and ends."""

    def __init__(self, environment=None, **changes):
        self.root = tempfile.mkdtemp(prefix="qzd-test-")
        self.state = os.path.join(self.root, "state")
        self.config_file = os.path.join(self.root, "qzd.yaml")
        self.log_file = os.path.join(self.root, "log")
        self.config = merged(TINY, changes)
        self.config["state_dir"] = self.state
        self.environment = dict(os.environ, **(environment or {}))
        self.process = None
        self.write_config()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, value, traceback):
        if kind is not None:
            sys.stderr.write(f"---- the daemon's log ({self.log_file}), last 60 lines\n")
            sys.stderr.write("".join(open(self.log_file, errors="replace").readlines()[-60:]))
        try:
            self.kill_all()
        finally:
            if kind is None:
                shutil.rmtree(self.root, ignore_errors=True)

    # ---- configuration ----
    def write_config(self, text=None):
        """JSON is YAML, so the configuration is written as JSON unless a test brings its own text."""
        with open(self.config_file, "w") as file:
            file.write(text if text is not None else json.dumps(self.config, indent=1) + "\n")

    def change_config(self, **changes):
        self.config = merged(self.config, changes)
        self.write_config()

    # ---- life ----
    def start(self, wait=True):
        log = open(self.log_file, "ab")
        self.process = subprocess.Popen([QZD, "run", "--config", self.config_file], stdin=subprocess.DEVNULL,
                                        stdout=log, stderr=log, env=self.environment, start_new_session=True)
        log.close()
        if wait:
            wait_until(self.answers, 20, "the daemon to answer on its socket")

    def answers(self):
        check(self.process.poll() is None, f"the daemon ended with {self.process.poll()}")
        done = self.qzctl("status", "--json", ok=None)  # without a daemon, qzctl answers from the store
        return done.returncode == 0 and json.loads(done.stdout).get("pid") == self.process.pid

    def stop(self, seconds=10):
        """SIGTERM; returns how long it took."""
        begin = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(seconds * SLOW)
        check(self.process.returncode == 0, f"SIGTERM ended the daemon with {self.process.returncode}")
        return time.monotonic() - begin

    def children(self, kind=None):
        """Process ids of the daemon's children; kind "worker", "train" or "match" selects."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/stat") as file:
                    parent = int(file.read().rsplit(")", 1)[1].split()[1])
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    arguments = file.read().split(b"\0")
            except (OSError, IndexError):
                continue
            if parent == self.process.pid and (kind is None or kind.encode() in arguments):
                found.append(int(pid))
        return found

    def kill_all(self):
        """SIGKILL to the daemon; its children die with it."""
        if self.process is None:
            return
        children = self.children()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        wait_until(lambda: not any(alive(pid) for pid in children), 10, "the children to die with their daemon")

    # ---- questions ----
    def qzctl(self, *arguments, ok=0, text=None):
        """Run qzctl; ok is the exit code that is demanded, None allows any."""
        done = subprocess.run([QZCTL, *arguments, "--state", self.state], capture_output=True, text=True,
                              input=text, env=self.environment, timeout=120 * SLOW)
        if ok is not None:
            check(done.returncode == ok, f"qzctl {' '.join(arguments)}: exit {done.returncode}, wanted {ok}\n"
                                         f"{done.stdout}{done.stderr}")
        return done

    def json(self, *arguments):
        return json.loads(self.qzctl(*arguments, "--json").stdout)

    def connect(self):
        connection = sqlite3.connect(f"file:{self.state}/qzd.db?mode=ro", uri=True, timeout=10)
        connection.row_factory = sqlite3.Row
        return connection

    def rows(self, sql, *arguments):
        connection = self.connect()
        try:
            return connection.execute(sql, arguments).fetchall()
        finally:
            connection.close()

    def one(self, sql, *arguments):
        return self.rows(sql, *arguments)[0][0]

    def log(self):
        with open(self.log_file, errors="replace") as file:
            return file.read()

    # ---- common waits ----
    def wait_games(self, n, seconds=60):
        wait_until(lambda: self.one("SELECT count(*) FROM games WHERE state = 'finished'") >= n, seconds,
                   f"{n} finished games")

    def wait_generation(self, generation, seconds=120):
        wait_until(lambda: self.one("SELECT coalesce(max(generation), -1) FROM nets WHERE line = 'main'") >= generation, seconds,
                   f"generation {generation}")


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def check_store(daemon):
    """What must be true of every store at every moment, whatever was killed."""
    connection = daemon.connect()
    try:
        check(connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok", "integrity_check")
        finished, newest = connection.execute(
            "SELECT count(*), coalesce(max(seq), 0) FROM games WHERE state = 'finished'").fetchone()
        check(finished == newest, f"seq has gaps: {finished} finished games, newest seq {newest}")
        bad = connection.execute("""
            SELECT count(*) FROM games g WHERE state = 'finished' AND (
                plies <> (SELECT count(*) FROM positions p WHERE p.game_id = g.id)
                OR EXISTS(SELECT 1 FROM positions p WHERE p.game_id = g.id AND z IS NULL))""").fetchone()[0]
        check(bad == 0, f"{bad} finished games lack positions or z")
        bad = connection.execute("""
            SELECT count(*) FROM games g WHERE state = 'playing' AND (
                finished_at IS NOT NULL OR seq IS NOT NULL
                OR EXISTS(SELECT 1 FROM positions p WHERE p.game_id = g.id AND z IS NOT NULL)
                OR (SELECT max(ply) + 1 FROM positions p WHERE p.game_id = g.id)
                   <> (SELECT count(*) FROM positions p WHERE p.game_id = g.id))""").fetchone()[0]
        check(bad == 0, f"{bad} unfinished games are half finished or have holes")
        bad = connection.execute("SELECT count(*) - count(DISTINCT seed) FROM games").fetchone()[0]
        check(bad == 0, f"{bad} games share a seed")
    finally:
        connection.close()


def fingerprints(connection, after_seq=0):
    """uid -> everything recorded of each game finished after that seq, so that a later look can tell a change."""
    games = {}
    for row in connection.execute("""
            SELECT g.uid, g.seq, g.first_player_outcome, g.plies, p.ply, p.action, p.q, p.v, p.z, p.nodes, p.policy
            FROM games g JOIN positions p ON p.game_id = g.id WHERE g.state = 'finished' AND g.seq > ?""", (after_seq,)):
        games.setdefault(row[0], set()).add(tuple(row)[1:])
    return {uid: hash(frozenset(rows)) for uid, rows in games.items()}
