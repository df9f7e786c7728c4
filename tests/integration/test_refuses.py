"""What a daemon must refuse: a state directory in use, a store that is not ours, is newer, or is damaged; each with a
clear sentence, a failure, and the file untouched."""
import hashlib
import os
import sqlite3
import subprocess

from harness import QZD, Daemon, check

with Daemon() as daemon:
    second = subprocess.run([QZD, "run", "--config", daemon.config_file], capture_output=True, text=True, timeout=60)
    check(second.returncode != 0, "a second daemon started")
    check(str(daemon.process.pid) in second.stderr + second.stdout, f"the pid is not named: {second.stderr}")
    daemon.wait_games(3)
    daemon.stop()
    path = os.path.join(daemon.state, "qzd.db")
    good = open(path, "rb").read()
    check(os.path.getsize(path + "-wal") == 0, "the log is not empty after a clean stop")
    for name in ("-wal", "-shm"):  # the store alone, as one that was brought back from a copy
        os.unlink(path + name)

    def refused(content, words):
        open(path, "wb").write(content)
        done = subprocess.run([QZD, "run", "--config", daemon.config_file], capture_output=True, text=True, timeout=60)
        said = done.stdout + done.stderr
        check(done.returncode not in (0, -11, -6), f"exit {done.returncode}: {said}")
        check(any(word in said for word in words), f"none of {words} in: {said}")
        now = open(path, "rb").read()
        check(hashlib.sha256(now).digest() == hashlib.sha256(content).digest(), f"the file was changed: {said}")
        left = [name for name in os.listdir(daemon.state) if name.startswith("qzd.db-")]
        check(not left, f"left behind: {left}")

    refused(b"this is no database at all, only text\n" * 50, ["not a SQLite database"])
    foreign = os.path.join(daemon.root, "foreign.db")
    connection = sqlite3.connect(foreign)
    connection.execute("CREATE TABLE letters(text)")
    connection.commit()
    connection.close()
    refused(open(foreign, "rb").read(), ["not a qzd store", "not ours", "another program"])
    newer = bytearray(good)
    newer[60:64] = (9999).to_bytes(4, "big")  # user_version in the header
    refused(bytes(newer), ["newer", "9999"])
    damaged = bytearray(good)
    damaged[100:2000] = os.urandom(1900)  # the schema's page
    refused(bytes(damaged), ["damaged", "malformed", "corrupt"])
    refused(good[: len(good) // 2 + 100], ["damaged", "malformed", "corrupt", "truncated"])

    open(path, "wb").write(good)
    daemon.start()
    daemon.wait_games(daemon.one("SELECT count(*) FROM games WHERE state = 'finished'") + 3)
