"""inference.precision bf16: refused by name where nothing computes in it; else games and matches are played in it, each
net's check is told, and what was recorded replays bit for bit."""
import json
import subprocess

from harness import QZD, Daemon, check, wait_until

daemon = Daemon(inference={"kernel": "plain", "precision": "bf16"})
done = subprocess.run([QZD, "run", "--config", daemon.config_file], capture_output=True, text=True, timeout=60)
check(done.returncode not in (0, -11, -6), f"plain C in bf16: exit {done.returncode}")
check("bf16" in done.stdout + done.stderr and "plain" in done.stdout + done.stderr, f"not named: {done.stdout}{done.stderr}")
daemon.kill_all()

daemon = Daemon(inference={"precision": "bf16"})
if "avx512_bf16" not in open("/proc/cpuinfo").read():
    done = subprocess.run([QZD, "run", "--config", daemon.config_file], capture_output=True, text=True, timeout=60)
    check("AVX512-BF16" in done.stdout + done.stderr, f"not named: {done.stdout}{done.stderr}")
    check(done.returncode == 1, f"exit {done.returncode}")
else:
    with daemon:
        daemon.wait_generation(1)
        daemon.wait_games(daemon.one("SELECT count(*) FROM games WHERE state = 'finished'") + 10)
        told = wait_until(lambda: daemon.rows("SELECT severity, detail FROM events WHERE what = 'precision'"), 20, "the figures")
        for severity, detail in told:
            check("512 positions" in detail, detail)
            check(severity == ("warning" if "refused" in detail else "info"), f"{severity}: {detail}")
        played = {row[0] for row in daemon.rows("SELECT DISTINCT kernel FROM searches")}
        refused = any(severity == "warning" for severity, _ in told)
        check(any("-bf16/" in kernel for kernel in played), f"played by {played}")
        check(refused or len(played) == 1, f"played by {played}")
        replayed = daemon.json("replay", "--last", "10")  # by the kernels of the record, whatever they were
        check(replayed["positions"]["identical"] == replayed["positions"]["n"] > 0, f"{replayed}")
        check(all(by["this"] and by["kernel_again"] == by["kernel"] for by in replayed["recorded_by"]), f"{replayed}")
        daemon.environment["QZD_PRECISION"] = "fp32"  # another one, for whoever wants to compare
        replayed = json.loads(daemon.qzctl("replay", "--last", "10", "--json", ok=None).stdout)
        again = {(by["kernel"], by["kernel_again"]) for by in replayed["recorded_by"]}
        check(all("-fp32/" in new for _, new in again), f"{again}")
        check(replayed["positions"]["different"] < replayed["positions"]["n"], f"{replayed}")
        daemon.stop()
