import sys
import time
from pathlib import Path

from monitor.children import Child


def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up'); time.sleep(60)"
    child = Child([sys.executable, "-u", "-c", code], tmp_path / "log")
    while not child.new_lines():
        time.sleep(0.01)

    child.stop(grace=0.1)
    child.stop(grace=0.1)

    assert child.ended == -9


def test_a_childs_lines_come_once_and_whole(tmp_path: Path) -> None:
    code = "print('one'); print('two'); print('half', end='')"
    child = Child([sys.executable, "-c", code], tmp_path / "log")
    while child.ended is None:
        time.sleep(0.01)

    assert child.new_lines() == ["one", "two"]
    assert child.new_lines() == []
    assert child.last_lines(1) == "half"
