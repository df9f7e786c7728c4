"""The other game goes through the same loop, with the other value head."""
from harness import Daemon, check, check_store

with Daemon(game="tictactoe", network={"value": "scalar"}, evaluation={"suites": []}) as daemon:
    daemon.wait_generation(2)
    check_store(daemon)
    check(daemon.one("SELECT max(plies) FROM games WHERE state = 'finished'") <= 9, "a game of over nine moves")
    check(daemon.one("SELECT count(*) FROM games WHERE game <> 'tictactoe'") == 0, "another game")
    check(daemon.json("check")["tallies"] == "ok", "tallies")
