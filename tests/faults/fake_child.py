#!/usr/bin/env python3
"""A child process that is not what the daemon takes it for; QZD_FAKE says how. It speaks the frames of daemon/wire.proto,
written by hand. Run in the place of a worker (or a training) by preload.c."""
import os
import random
import struct
import sys
import time

WAY = os.environ.get("QZD_FAKE", "silent")
out = os.fdopen(1, "wb", buffering=0)


def varint(value):
    value &= (1 << 64) - 1
    result = b""
    while value >= 0x80:
        result += bytes([value & 0x7F | 0x80])
        value >>= 7
    return result + bytes([value])


def field(number, value):
    """An integer, a text or bytes, or (a float) four bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def frame(message):
    return struct.pack("<I", len(message)) + message


def say(message):
    out.write(frame(message))


def hello(version=1):
    return field(1, field(1, version) + field(2, "fake") + field(3, "none"))


def start(uid, seed=1):
    return field(2, field(1, uid) + field(2, "selfplay") + field(3, "connect4") + field(4, "host") + field(5, 0)
                 + field(6, seed) + field(7, "") + field(8, 1) + field(9, 0))


def position(uid, ply, action, sha256, policy=b"\0\3\5"):
    search = field(1, sha256) + field(2, "fake") + field(3, "none") + field(4, "{}")
    return field(3, field(1, uid) + field(2, ply) + field(3, search) + field(4, action) + field(5, 3) + field(6, 0.25)
                 + field(7, 0.5) + field(17, 6) + field(20, "full") + field(21, policy))


def end(uid, plies, outcome=2, reason="rules"):
    """outcome 2 is +1 in zigzag."""
    return field(4, field(1, uid) + field(2, outcome) + field(3, reason) + field(4, 5) + field(5, plies))


def event(text):
    return field(10, field(1, "warning") + field(2, "fake") + field(3, text))


def read_varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if not data[at - 1] & 0x80:
            return value, at


def parts(data):
    """(field number, bytes or integer) of a message."""
    at = 0
    while at < len(data):
        key, at = read_varint(data, at)
        if key & 7 == 2:
            size, at = read_varint(data, at)
            yield key >> 3, data[at:at + size]
            at += size
        elif key & 7 == 5:
            at += 4
        else:
            value, at = read_varint(data, at)
            yield key >> 3, value


def commands():
    """(field number of ToChild, the command's fields) as they come."""
    while True:
        head = os.read(0, 4)
        while 0 < len(head) < 4:
            head += os.read(0, 4 - len(head))
        if not head:
            return
        size = struct.unpack("<I", head)[0]
        data = b""
        while len(data) < size:
            data += os.read(0, size - len(data))
        for number, body in parts(data):
            fields = {}
            for key, value in parts(body):
                fields.setdefault(key, []).append(value)
            yield number, fields


def wait_for_game(fresh=False):
    """The first game's uid, seed, how many moves it has, a column with room, and the net's sha256."""
    sha256 = b"0" * 64
    for number, body in commands():
        if number == 2:
            sha256 = body[2][0]
        if number == 3:
            moves = body.get(4, [])
            if not moves or not fresh:
                return body[1][0], body[2][0], len(moves), min(range(7), key=moves.count), sha256
    sys.exit(0)


def for_ever():
    while True:
        time.sleep(1)


def play():
    uid, seed, ply, column, sha256 = wait_for_game(WAY == "wrong-start")
    say(start(uid, seed + 1 if WAY == "wrong-start" else seed))
    if WAY == "illegal":  # column 9 of 7
        say(position(uid, ply, 9, sha256))
    elif WAY == "illegal-visits":
        say(position(uid, ply, column, sha256, b"\0\x0a\5"))
    elif WAY == "hole":
        say(position(uid, ply + 1, column, sha256))
    elif WAY == "no-move":
        say(end(uid, ply))
    elif WAY == "wrong-end":
        say(position(uid, ply, column, sha256, b""))
        say(end(uid, ply + 2))
    elif WAY == "wrong-values":
        say(position(uid, ply, column, sha256, b"").replace(struct.pack("<f", 0.25), struct.pack("<f", 7.0)))
    elif WAY == "wrong-net":
        say(position(uid, ply, column, b"f" * 64, b""))
    elif WAY == "another-game":
        for number in range(1000):
            other = b"%032x" % number
            say(start(other) + b"")
            say(position(other, 0, 3, sha256))
            say(end(other, 1))
        say(event("all said"))
    for_ever()


if WAY == "silent":
    for_ever()
if WAY == "other-version":
    say(hello(99))
    for_ever()
say(hello())
if WAY == "garbage":
    out.write(random.Random(1).randbytes(100000))
    for_ever()
elif WAY == "no-message":  # a good length, and bytes that are no message
    out.write(struct.pack("<I", 40) + b"\xff" * 40)
    for_ever()
elif WAY == "half":
    out.write(struct.pack("<I", 1000) + b"x" * 100)
    sys.exit(0)
elif WAY == "huge":
    out.write(struct.pack("<I", 0x7FFFFFFF) + b"x" * 100)
    for_ever()
elif WAY == "empty":
    out.write(struct.pack("<I", 0))
    for_ever()
elif WAY == "another-role":
    say(field(7, field(1, "{}")))
    for_ever()
elif WAY == "crash":
    os.abort()
elif WAY == "flood":
    for _ in range(30000):
        say(event("again"))
        sys.stderr.write("again and again\n")
    say(event("all said"))
    for_ever()
else:
    play()
