"""A daemon (tests/integration/harness.py) below preload.c: its files, clock and children go wrong when the test says so.

    with FaultyDaemon() as daemon:
        with daemon.failing(errno.ENOSPC, "qzd.db"):
            daemon.wait_line("no space left")
"""
import contextlib
import hashlib
import mmap
import os
import re
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from harness import BUILD, Daemon, check, check_store, wait_until  # noqa: E402

WRITES, SYNCS, NAMES = 1, 2, 4
EVERYTHING = WRITES | SYNCS | NAMES
LAYOUT = struct.Struct("=iIqiI96s")  # struct control of preload.c


class FaultyDaemon(Daemon):
    def __init__(self, child=None, environment=None, **changes):
        """child: ("worker", program) runs the program in the place of `qzd worker`."""
        super().__init__(environment=environment, **changes)
        self.control_file = os.path.join(self.root, "control")
        with open(self.control_file, "wb") as file:
            file.write(b"\0" * LAYOUT.size)
        with open(self.control_file, "r+b") as file:
            self.control = mmap.mmap(file.fileno(), LAYOUT.size)
        self.clock_ms = 0
        self.fault = (0, 0, 0, b"")
        self.environment["LD_PRELOAD"] = os.path.abspath(os.path.join(BUILD, "libqzd_faults.so"))
        self.environment["QZD_FAULTS_CONTROL"] = self.control_file
        if child is not None:
            self.environment["QZD_FAULTS_CHILD"] = " ".join(child)

    def _write_control(self):
        error, fails, after, part = self.fault
        self.control[:] = LAYOUT.pack(error, fails, self.clock_ms, after, 0, part)

    def set_clock(self, seconds):
        """The wall clock, so far from the true one."""
        self.clock_ms = int(seconds * 1000)
        self._write_control()

    def struck(self):
        return LAYOUT.unpack(self.control[:])[4]

    @contextlib.contextmanager
    def failing(self, error, part, fails=EVERYTHING, after=0):
        """Operations on files whose path holds `part` fail, all but the first `after`."""
        self.fault = (error, fails, after, part.encode())
        self._write_control()
        try:
            yield
        finally:
            self.fault = (0, 0, 0, b"")
            self._write_control()

    def wait_line(self, pattern, seconds=30):
        """A line of the log that matches, said after the last mark()."""
        return wait_until(lambda: re.search(pattern, self.log()[getattr(self, "marked", 0):]), seconds,
                          f"a line like {pattern!r}")

    def mark(self):
        self.marked = len(self.log())

    def lines(self, pattern):
        return [line for line in self.log()[getattr(self, "marked", 0):].splitlines() if re.search(pattern, line)]

    def finished(self):
        return self.one("SELECT count(*) FROM games WHERE state = 'finished'")

    def check_files(self, files):
        """Each net's file is whole: its name is its hash."""
        for name in files:
            with open(os.path.join(self.state, name), "rb") as file:
                digest = hashlib.sha256(file.read()).hexdigest()
            check(digest == os.path.basename(name).split(".")[0], f"{name} is damaged")

    def check_all(self):
        """Rows, integrity and tallies, asked of the running daemon."""
        check_store(self)
        answer = self.json("check")
        check(answer["tallies"] == "ok" and answer["integrity"] == "ok", f"the check says {answer}")


__all__ = ["EVERYTHING", "NAMES", "SYNCS", "WRITES", "FaultyDaemon", "check", "check_store", "wait_until"]
