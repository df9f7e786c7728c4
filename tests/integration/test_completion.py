"""etc/completion/qzctl, sourced by a bash as a person's would: every command and option that qzctl has is completed,
values where there is a choice, nets and games of a living store; and nothing is said on standard error."""
import os
import re
import subprocess

from harness import QZCTL, Daemon, check

SCRIPT = os.path.join(os.path.dirname(__file__), "..", "..", "etc", "completion", "qzctl")


def complete(*words):
    """What bash offers for the last of the words."""
    script = """source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _qzctl; printf '%s\\n' "${COMPREPLY[@]}" """
    done = subprocess.run(["bash", "-u", "-c", script, "bash", SCRIPT, QZCTL, *words], capture_output=True, text=True,
                          timeout=60)
    check(done.returncode == 0 and done.stderr == "", f"{words}: {done.stderr}")
    return set(filter(None, done.stdout.split("\n")))


registered = subprocess.run(["bash", "-c", 'source "$1"; complete -p qzctl', "bash", SCRIPT], capture_output=True, text=True,
                            timeout=30)
check(registered.stdout.strip() == "complete -F _qzctl qzctl", registered.stdout + registered.stderr)

said = subprocess.run([QZCTL, "--help"], capture_output=True, text=True, timeout=30).stdout
commands = set(re.findall(r"^  ([a-z]+) ", said.split("Commands:")[1].split("\n\n")[0], re.M))
check({"status", "replay", "games", "play", "snapshot"} <= commands, commands)
check(complete("") == commands | {"help"}, complete("") ^ commands)
check(complete("sn") == {"snapshot"}, complete("sn"))
check(complete("--state", "/tmp", "sn") == {"snapshot"}, "behind --state")
check(complete("help", "ga") == {"games"}, "help of a command")
check(complete("--js") == {"--json"}, "an option before the command")
for command in commands:
    text = subprocess.run([QZCTL, command, "--help"], capture_output=True, text=True, timeout=30).stdout
    options = set(re.findall(r"^  (--[a-z-]+)", text, re.M))
    offered = complete(command, "--")
    check(options | {"--json", "--state", "--help"} <= offered, f"{command}: {options - offered} missing")
check(complete("replay", "--to") == {"--to", "--tolerance"}, complete("replay", "--to"))
check(complete("games", "--order", "l") == {"longest"}, "a word of an option")
check(complete("games", "--order", "") == {"newest", "oldest", "longest", "shortest"}, "words of an option")
check(complete("analyse", "--nodes", "") == set(), "a number")
check(complete("snapshot", "/etc/pass") >= {"/etc/passwd"}, "a file")
check(complete("show", "la", ) == {"last"}, "no store")

with Daemon() as daemon:
    daemon.wait_generation(2)
    daemon.wait_games(30)
    state = ("--state", daemon.state)
    check({"g0", "g1", "g2"} <= complete(*state, "analyse", "--net", "g"), complete(*state, "analyse", "--net", "g"))
    check({"uniform", "g1"} <= complete("match", *state, ""), complete("match", *state, ""))
    check("2" in complete(*state, "games", "--generation", ""), "generations")
    check("main" in complete(*state, "nets", "--line", ""), "lines")
    games = complete(*state, "show", "")
    check("last" in games and len(games) == 21, games)
