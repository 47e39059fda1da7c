"""The daemon beside a process for alibi-detect that is absent, dies, hangs or takes too much: rows go on."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.programs import Daemon, eventually
from tests.seconds import config, lines, made

pytestmark = pytest.mark.acceptance
STAND_IN = Path(__file__).parents[1] / "alibi_stand_in.py"
MONITOR = """
[[models.monitors]]
detector = "alibi.ks"
on = "numeric"

[alibi]
python = "python"
timeout = "4s"
memory = "1GiB"
"""
WINDOW = 200


def interpreter(folder: Path) -> None:
    """Put a program in the interpreter's place that runs the stand-in, told by the file `mode`."""
    text = f'#!/bin/sh\nexec {sys.executable} {STAND_IN} "$4" "$5" {folder / "mode"}\n'
    (folder / "python").write_text(text, encoding="utf-8")
    (folder / "python").chmod(0o755)


def test_rows_go_on_whatever_becomes_of_it_and_it_comes_back(tmp_path: Path) -> None:
    project = made(tmp_path, config("200s", "0s") + MONITOR)
    said = project.driftd("check").stdout
    assert f"alibi-detect: ABSENT at {tmp_path / 'python'}: its monitors will be errors" in said
    sent = 0

    def sending(daemon: Daemon, mode: str) -> Callable[[], bool]:
        """Send rows enough to close a window; the returned function tells whether they are stored."""
        nonlocal sent
        (tmp_path / "mode").write_text(mode, encoding="utf-8")
        project.append("a.jsonl", b"".join(lines(sent, WINDOW)))
        sent += WINDOW
        return lambda: daemon.samples().total("driftd_events_stored_total") == sent

    def state(daemon: Daemon) -> str:
        found = daemon.samples().values
        wanted = {("feature", "_joint:numeric"), ("detector", "alibi.ks")}
        (now,) = [
            dict(have)["state"]
            for (name, have), value in found.items()
            if name == "driftd_drift_state" and value == 1.0 and wanted <= have
        ] or ["none"]
        return now

    def failed(daemon: Daemon, reason: str) -> float:
        return daemon.samples().total("driftd_heavy_failures_total", detector="alibi.ks", reason=reason)

    with project.start() as daemon:
        daemon.ready()
        for reason, mode in (("absent", "answer"), ("memory", "memory"), ("died", "die"), ("hung", "hang")):
            eventually(sending(daemon, mode))
            eventually(lambda reason=reason: failed(daemon, reason) == 1.0, reason)  # type: ignore[misc]  # bound now
            assert state(daemon) == "error"
            interpreter(tmp_path)
        eventually(sending(daemon, "answer"))
        eventually(lambda: state(daemon) == "ok", "it comes back")
        assert daemon.samples().get("driftd_alibi_up") == 1.0
        assert daemon.samples().get("driftd_alibi_starts_total") == 4.0
        assert daemon.get("/readyz")[0] == 200
        assert daemon.text.count("Business Source License") == 1
        assert daemon.stop() == 0

    monitors = project.status()["models"][0]["events"]
    assert (monitors["stored"], monitors["dropped"]) == (sent, 0)
