"""The configuration of a running daemon: q_ratio changed by editing the file takes effect at the next training and
is logged; a bad file says where, and changes nothing; a key that needs a restart says so."""
import signal

from harness import Daemon, check, wait_until

with Daemon() as daemon:
    daemon.wait_generation(1)

    for q_ratio, how in ((0, "SIGHUP"), (1, "qzctl")):
        before = daemon.one("SELECT count(*) FROM settings_log")
        daemon.change_config(targets={"q_ratio": q_ratio})
        if how == "SIGHUP":
            daemon.process.send_signal(signal.SIGHUP)
        else:
            daemon.qzctl("reload")
        wait_until(lambda: daemon.one("SELECT count(*) FROM settings_log") > before, 10, "the change in settings_log")
        change = daemon.rows("SELECT * FROM settings_log ORDER BY id DESC LIMIT 1")[0]
        check(change["key"] == "targets.q_ratio" and float(change["new"].strip("[]")) == q_ratio, dict(change))
        check(how in change["by"], f"changed by {change['by']}, wanted {how}")
        started = daemon.one("SELECT coalesce(max(id), 0) FROM trainings")
        wait_until(lambda: daemon.one("SELECT count(*) FROM trainings WHERE id > ? AND state = 'finished'",
                                      started + 1) >= 1, 60, f"a training with q_ratio {q_ratio}")
        used = daemon.one("SELECT q_ratio FROM trainings WHERE id > ? AND state = 'finished' LIMIT 1", started + 1)
        check(used == q_ratio, f"the training used q_ratio {used}, wanted {q_ratio}")

    # A bad file: every problem with file:line:column, exit 4, nothing changes.
    good = open(daemon.config_file).read()
    log = daemon.one("SELECT count(*) FROM settings_log")
    daemon.write_config("state_dir: " + daemon.state + "\ntargets:\n  q_ratio: 1.5\n  qratio: 1\nsearch: {nodes: many}\n")
    refused = daemon.qzctl("reload", ok=4)
    said = refused.stdout + refused.stderr
    for place, word in (("3:12", "q_ratio"), ("4:3", "qratio"), ("5:17", "nodes")):
        check(f"{daemon.config_file}:{place}:" in said and word in said, f"no {place} {word} in:\n{said}")
    check(daemon.one("SELECT count(*) FROM settings_log") == log, "a refused file was logged as a change")
    daemon.write_config(good)
    daemon.qzctl("reload")
    check(daemon.one("SELECT count(*) FROM settings_log") == log, "an unchanged file was logged as a change")

    # Search settings reach the workers: new positions have the new number of nodes.
    daemon.change_config(search={"nodes": 40})
    daemon.qzctl("reload")
    wait_until(lambda: daemon.one("SELECT count(*) FROM positions WHERE nodes = 40") > 20, 30, "searches of 40 nodes")

    # A key that needs a restart says so.
    daemon.change_config(game="tictactoe")
    done = daemon.qzctl("reload", ok=None)
    check("restart" in done.stdout + done.stderr, f"no word of a restart:\n{done.stdout}{done.stderr}")
