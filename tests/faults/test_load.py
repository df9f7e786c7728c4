"""Stop, start and reload while games are played, nets trained and eight clients ask without a pause: each question gets a
whole answer or a refusal, each reload takes effect or is refused whole, each stop ends clean and in time."""
import http.client
import json
import signal
import socket
import threading
import time

from faults import FaultyDaemon, check, wait_until
from harness import fingerprints

QUESTIONS = [("GET", "/status", None), ("GET", "/progress", None), ("GET", "/events?n=20", None),
             ("POST", "/sql", '{"sql": "SELECT count(*) FROM positions", "time_limit_ms": 1000}'),
             ("POST", "/sql", '{"sql": "DELETE FROM games"}'), ("GET", "/nothing", None)]


class Client(threading.Thread):
    def __init__(self, daemon, number):
        super().__init__(daemon=True)
        self.path = daemon.state + "/qzd.sock"
        self.number, self.ended = number, False
        self.answers, self.refused, self.wrong = 0, 0, []

    def run(self):
        while not self.ended:
            method, path, body = QUESTIONS[(self.answers + self.number) % len(QUESTIONS)]
            connection = http.client.HTTPConnection("qzd", timeout=30)
            try:
                connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                connection.sock.settimeout(30)
                connection.sock.connect(self.path)
                connection.request(method, path, body)
                answer = connection.getresponse()
                json.loads(answer.read())
                if answer.status not in (200, 400, 404, 503):
                    self.wrong.append(f"{method} {path}: {answer.status}")
                self.answers += 1
            except (TimeoutError, ValueError) as error:
                self.wrong.append(f"{method} {path}: {error!r}")
            except (OSError, http.client.HTTPException):  # it is being stopped or is not there
                self.refused += 1
                time.sleep(0.02)
            finally:
                connection.close()


with FaultyDaemon(selfplay={"workers": 2}) as daemon:
    daemon.wait_games(5)
    clients = [Client(daemon, number) for number in range(8)]
    for client in clients:
        client.start()
    seen = {}
    for turn, ratio in enumerate((0.125, 0.25, 0.375, 0.625)):
        log = daemon.one("SELECT count(*) FROM settings_log")
        daemon.change_config(targets={"q_ratio": ratio})
        daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: daemon.one("SELECT count(*) FROM settings_log") == log + 1, 20, f"q_ratio {ratio}")
        good = open(daemon.config_file).read()
        daemon.write_config("targets: {q_ratio: 7}\n")
        daemon.mark()
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_line(r"error: reload refused: .*:1:20: ", 20)
        daemon.write_config(good)
        took = daemon.stop(20)
        check(took < 10, f"the stop took {took:.1f} s")
        check(daemon.lines("stopped: everything is committed"), "it does not say that everything is committed")
        connection = daemon.connect()
        now = fingerprints(connection)
        connection.close()
        check(all(now.get(uid) == seen[uid] for uid in seen), "a finished game is gone or changed")
        seen = now
        daemon.start()
    finished = daemon.finished()
    wait_until(lambda: daemon.finished() > finished + 5, 30, "games")
    for client in clients:
        client.ended = True
    for client in clients:
        client.join(40)
        check(not client.wrong, f"client {client.number}: {client.wrong[:3]}")
    answers = sum(client.answers for client in clients)
    check(answers > 50, f"{answers} answers")
    daemon.check_all()
    print(f"{answers} answers, {sum(client.refused for client in clients)} refused connections, {len(seen)} games")
