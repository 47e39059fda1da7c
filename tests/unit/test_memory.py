"""How much memory the process says that it holds."""

import re
from pathlib import Path

import pytest

from monitor.memory import resident


def test_it_is_what_the_kernel_says_elsewhere_too() -> None:
    held = resident()
    said = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))

    assert held is not None
    assert said is not None
    assert held == pytest.approx(int(said[1]) * 1024, rel=0.2)


@pytest.mark.parametrize("text", ["", "12", "12 x"])
def test_what_is_not_said_is_not_made_up(text: str, tmp_path: Path) -> None:
    (tmp_path / "statm").write_text(text, encoding="utf-8")

    assert resident(tmp_path / "statm") is None
    assert resident(tmp_path / "missing") is None
