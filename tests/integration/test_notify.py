"""The words to systemd, heard on a socket of our own: READY, STATUS, WATCHDOG, RELOADING ... READY, STOPPING."""
import os
import socket
import tempfile
import time

from harness import Daemon, check, wait_until

folder = tempfile.mkdtemp(prefix="qzd-notify-")
address = os.path.join(folder, "notify")
ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
ear.bind(address)
ear.setblocking(False)
heard = []


def listen():
    while True:
        try:
            heard.append((time.monotonic(), ear.recv(65536).decode()))
        except BlockingIOError:
            return heard


def said(word, since=0.0):
    return [text for at, text in listen() if word in text and at >= since]


with Daemon(environment={"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "2000000"}) as daemon:
    wait_until(lambda: said("READY=1"), 20, "READY")
    wait_until(lambda: len(said("WATCHDOG=1")) >= 3, 20, "the watchdog's heartbeat")
    wait_until(lambda: [text for text in said("STATUS=") if "generation" in text], 20, "a status with the generation")
    now = time.monotonic()
    daemon.qzctl("reload")
    wait_until(lambda: said("RELOADING=1", now), 10, "RELOADING")
    check(any("MONOTONIC_USEC=" in text for text in said("RELOADING=1", now)), "RELOADING without its time")
    wait_until(lambda: said("READY=1", now), 10, "READY after the reload")
    daemon.stop()
    check(said("STOPPING=1"), "STOPPING was not said")
