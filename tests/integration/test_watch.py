"""qzctl progress --watch on a terminal (a pty): draws, follows its width, falls back to ASCII, ends on Ctrl-C with the
screen as it was; without a terminal a line a tick; it outlives the daemon's end."""
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

from harness import QZCTL, SLOW, Daemon, check, wait_until


class Screen:
    """qzctl on a terminal of its own."""

    def __init__(self, state, columns, rows=24, locale="C.UTF-8", arguments=("progress", "--interval", "0.3")):
        self.output = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(LC_ALL=locale, TERM="xterm")
            os.execv(QZCTL, [QZCTL, *arguments, "--state", state])
        self.resize(columns, rows)

    def resize(self, columns, rows=24):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.output = b""

    def read(self):
        while select.select([self.fd], [], [], 0)[0]:
            try:
                more = os.read(self.fd, 65536)
            except OSError:  # its end is gone
                return
            if not more:
                return
            self.output += more

    def frame(self):
        """The newest whole drawing as lines of plain text."""
        self.read()
        frames = self.output.decode(errors="replace").split("\033[H")
        whole = [frame.split("\033[J")[0] for frame in frames[1:] if "\033[J" in frame]
        return [re.sub("\033\\[[0-9;?]*[A-Za-z]", "", line) for line in whole[-1].splitlines()] if whole else []

    def wait_for(self, condition, what):
        return wait_until(lambda: (lines := self.frame()) and condition(lines) and lines, 20, what)

    def end(self, how):
        if how == "Ctrl-C":
            os.write(self.fd, b"\x03")
        else:
            os.kill(self.pid, how)
        deadline = time.monotonic() + 10 * SLOW
        while True:
            self.read()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                break
            check(time.monotonic() < deadline, "qzctl did not end")
            time.sleep(0.02)
        self.read()
        os.close(self.fd)
        check(os.waitstatus_to_exitcode(status) == 0, f"ended with {os.waitstatus_to_exitcode(status)}")
        check(self.output.endswith(b"\033[?25h\033[?1049l"), f"the screen is not given back: {self.output[-60:]}")


def bars(lines):
    return next(line for line in lines if line.startswith("value loss"))


with Daemon() as daemon:
    daemon.wait_generation(3)
    screen = Screen(daemon.state, 100)
    lines = screen.wait_for(lambda found: "positions/s" in "".join(found), "a drawing")
    check("connect4, generation" in lines[0], lines)
    check(any("next net [" in line or "training [" in line for line in lines), lines)
    check(any(bar in bars(lines) for bar in "▁▂▃▄▅▆▇█") and "→" in bars(lines), bars(lines))
    check(all(len(line) <= 100 for line in lines), lines)
    check(any(line.strip() == "rating, Elo" or line.startswith("rating, Elo") for line in lines), lines)
    generation = lines[0]
    screen.wait_for(lambda found: found[0] != generation, "the figures to move")
    screen.resize(40)
    lines = screen.wait_for(lambda found: all(len(line) <= 40 for line in found), "the new width")
    screen.resize(100, 6)
    screen.wait_for(lambda found: len(found) <= 5, "the new height")
    screen.end("Ctrl-C")

    screen = Screen(daemon.state, 80, locale="C")
    lines = screen.wait_for(lambda found: "positions/s" in "".join(found), "a drawing in ASCII")
    check(all(line.isascii() for line in lines) and "->" in bars(lines), lines)
    daemon.qzctl("pause")
    screen.wait_for(lambda found: any("paused" in line for line in found), "the pause")
    daemon.stop()
    screen.wait_for(lambda found: any("no daemon runs" in line for line in found), "the daemon's end")
    screen.end(signal.SIGTERM)

    # Without a terminal.
    for how, more in ((signal.SIGINT, []), (signal.SIGTERM, ["--json"])):
        watching = subprocess.Popen([QZCTL, "progress", "--watch", "--interval", "0.2", "--state", daemon.state, *more],
                                    stdout=subprocess.PIPE, text=True)
        said = [watching.stdout.readline() for _ in range(3)]
        watching.send_signal(how)
        check(watching.wait(10 * SLOW) == 0, f"{how} ended it with {watching.returncode}")
        check("\033" not in "".join(said), said)
        if more:
            check([json.loads(line)["status"]["generation"] for line in said][0] >= 3, said)
        else:
            check(all("generation" in line and "value loss" in line for line in said), said)
    done = subprocess.run(f"{QZCTL} progress --watch --interval 0.1 --state {daemon.state} | head -2 | wc -l", shell=True,
                          capture_output=True, text=True, timeout=30)
    check(done.stdout.strip() == "2", done.stdout + done.stderr)
    check(daemon.qzctl("progress", "--interval", "0", ok=None).returncode == 2, "an interval of 0")

# No store at all: the reason, and no screen.
done = subprocess.run([QZCTL, "progress", "--watch", "--state", "/nowhere/at/all"], capture_output=True, text=True, timeout=30)
check(done.returncode == 3 and "no store" in done.stderr and done.stdout == "", done)
