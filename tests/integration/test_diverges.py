"""A training whose loss explodes ends with the old net still current and an event that says why; the daemon plays on."""
from harness import Daemon, check, check_store, wait_until

with Daemon(training={"learning_rate": 0.002, "max_loss": 0.05}) as daemon:  # every loss is above this bound
    wait_until(lambda: daemon.one("SELECT count(*) FROM trainings WHERE state = 'failed'") >= 1, 60, "a failed training")
    failed = daemon.rows("SELECT * FROM trainings WHERE state = 'failed'")[0]
    check("loss" in failed["failure"], f"the reason is not told: {failed['failure']}")
    check(daemon.one("SELECT max(generation) FROM nets") == 0, "a net was made of a diverged training")
    check(daemon.one("SELECT state FROM nets WHERE generation = 0") == "current", "the old net is not current")
    events = daemon.rows("SELECT * FROM events WHERE severity = 'error'")
    check(any("loss" in event["detail"] for event in events), [dict(event) for event in events])
    games = daemon.one("SELECT count(*) FROM games WHERE state = 'finished'")
    daemon.wait_games(games + 5)
    check(daemon.one("SELECT count(*) FROM trainings") < 10, "it tries again without waiting for new positions")
    check_store(daemon)

    # Mended by a reload, it learns.
    daemon.change_config(training={"max_loss": 50})
    daemon.qzctl("reload")
    daemon.wait_generation(1)
