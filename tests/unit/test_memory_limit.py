"""Processes of ours under a daemon that may itself take less memory than they are to have."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
POOL = """
import resource, sys; sys.path.insert(0, ".")
resource.setrlimit(resource.RLIMIT_AS, (3 * 2**30, 3 * 2**30))
from monitor.comparing import Apart
from tests.unit.test_comparing import asked

if __name__ == "__main__":
    apart = Apart()
    print(type(asked(apart, 3.0)).__name__, type(asked(apart, 2.0)).__name__)
    apart.close()
"""
ALIBI = """
import resource, sys; sys.path.insert(0, ".")
resource.setrlimit(resource.RLIMIT_DATA, (700 * 2**20, 700 * 2**20))
from tests.unit.test_alibi_process import STAND_IN, AlibiDetect, SystemClock, ask, table

alibi = AlibiDetect(table(), SystemClock(), STAND_IN)
print(type(ask(alibi, "answer")).__name__, ask(alibi, "memory").note)
alibi.close()
"""


def said(program: str, folder: Path) -> str:
    """Run a program from a file, as processes that are spawned need one; returns what it printed."""
    (folder / "program.py").write_text(program, encoding="utf-8")
    command = [sys.executable, str(folder / "program.py")]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout


def test_heavy_monitors_compare_in_what_the_daemon_may_take_and_that_is_said_once(tmp_path: Path) -> None:
    text = said(POOL, tmp_path)

    assert text.endswith("Comparison Comparison\n")
    assert text.count("bounded by the daemon's own limit") == 1
    assert "allowed=3GiB" in text


def test_alibi_detect_runs_in_what_the_daemon_may_take_and_says_how_much_that_is(tmp_path: Path) -> None:
    text = said(ALIBI, tmp_path)

    assert "Comparison alibi-detect needs more than 700MiB of memory" in text
    assert text.count("bounded by the daemon's own limit") == 1
