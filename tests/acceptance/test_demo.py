"""`driftd demo` as a stranger runs it: the real daemon, the real receiver, a terminal's signals."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from http.client import HTTPConnection
from pathlib import Path

import pytest

from monitor.store.sqlite import SqliteStore
from monitor.types import EntryKey
from tests.audits import records, unequal

pytestmark = pytest.mark.acceptance

DRIFTD = Path(sys.executable).with_name("driftd")
CALM, PATIENCE = 12, 120.0
DECAY = "(accuracy|e_sr) on _"
"""What the second incident asks for: which comes first, and whether one version waits for its cooldown, is
decided by where in a window the incident begins."""


def children(pid: int) -> set[int]:
    """Every process that this one started and that still is."""
    files = Path(f"/proc/{pid}/task").glob("*/children")
    return {int(child) for file in files for child in file.read_text().split()}


def scrape(address: str) -> str:
    connection = HTTPConnection(address, timeout=5)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return text


class Terminal:
    """A running `driftd demo`, what it printed, and every process that it ever started."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.output = folder / "console"
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        with self.output.open("wb") as console:
            self.process = subprocess.Popen(
                [DRIFTD, "demo", *options],
                stdout=console,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env={**os.environ, "TMPDIR": str(self.temporary), "PYTHONUNBUFFERED": "1"},
                start_new_session=True,
            )
        self.family: set[int] = set()
        self.left: list[int | Path] | None = None

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait until the console shows the pattern."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if found := re.search(pattern, self.text, re.MULTILINE):
                self.family |= children(self.process.pid)
                return found
            assert self.process.poll() is None, self.text
            time.sleep(0.2)
        raise AssertionError(f"no {pattern} in {PATIENCE} s:\n{self.text}")

    @property
    def text(self) -> str:
        return self.output.read_text()

    def entries(self) -> dict[EntryKey, bytes]:
        """Return what the daemon has committed."""
        (state,) = self.temporary.rglob("driftd.sqlite")
        with closing(SqliteStore(state.parent, read_only=True)) as store:
            return store.load()

    def close(self) -> None:
        """Note what outlived it; then end that too, for the tests that follow."""
        self.process.terminate()
        try:
            self.process.wait(30)
            alive = [pid for pid in self.family if Path(f"/proc/{pid}").exists()]
            self.left = [*alive, *self.temporary.iterdir()]
        finally:
            self.process.kill()
            for pid in self.family:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    shutil.rmtree(tmp_path, ignore_errors=True)


def firing(scraped: str, kind: str) -> list[str]:
    """Return the labels of every alarm of a kind, drift or performance, that fires."""
    pattern = rf'^driftd_{kind}_state\{{(.*state="firing".*)\}} 1(?:\.0)?$'
    return re.findall(pattern, scraped, re.MULTILINE)


def test_two_incidents_that_fire_and_ask_for_retraining_each_in_its_way(place: Path) -> None:
    demo = Terminal(place, "--calm", str(CALM))
    try:
        address = demo.wait_for(r"http://(\S+)/metrics")[1]
        demo.wait_for("FIRST INCIDENT: debt_to_income and utilization of version v2")
        calm = demo.text
        demo.wait_for("FIRING")
        shifted = scrape(address)
        demo.wait_for(r"receiver: .*verified webhook .* on debt_to_income")
        demo.wait_for("OVER for .* still firing: none")
        demo.wait_for("SECOND INCIDENT")
        rested = demo.text
        demo.wait_for("CONCEPT DRIFT")
        concept = scrape(address)
        demo.wait_for(rf"receiver: .*verified webhook .*: {DECAY}")
        demo.wait_for(r"windows closed, [1-9]\d* firing.*accuracy v1 0\.5\d+ v2 0\.5")
        entries = demo.entries()
        demo.process.send_signal(signal.SIGINT)
        code = demo.process.wait(30)
    finally:
        demo.close()

    assert code == 0
    assert "FIRING" not in calm
    assert "verified" not in calm
    assert rested.count("verified") == 1
    drift, *decay = re.findall("verified webhook .*", demo.text)
    assert "shift on debt_to_income" in drift
    assert decay
    assert all(re.search(DECAY, request) for request in decay), decay
    inputs = firing(shifted, "drift")
    assert any('feature="debt_to_income"' in labels for labels in inputs)
    assert any('feature="utilization"' in labels for labels in inputs)
    assert all('version="v2"' in labels for labels in inputs)
    assert not firing(shifted, "performance")
    assert all('feature="_error"' in labels for labels in firing(concept, "drift"))
    performance = firing(concept, "performance")
    assert all('metric="accuracy"' in labels and 'basis="realized"' in labels for labels in performance)
    assert {v for v in ("v1", "v2") if any(f'version="{v}"' in labels for labels in performance)} == {
        "v1",
        "v2",
    }
    assert len(demo.family) == 2
    assert demo.left == []
    assert {"realised"} < {record.head["how"] for record in records(entries).values()}
    assert unequal(entries) == {}


def test_sigterm_ends_all(place: Path) -> None:
    demo = Terminal(place)
    try:
        demo.wait_for("the daemon is ready")
        demo.process.terminate()
        code = demo.process.wait(30)
    finally:
        demo.close()

    assert code == 0
    assert demo.left == []


def test_it_ends_by_itself_when_told_so(place: Path) -> None:
    demo = Terminal(place, "--calm", "3", "--seconds", "6")
    try:
        demo.wait_for("the daemon is ready")
        code = demo.process.wait(60)
    finally:
        demo.close()

    assert code == 0, demo.text
    assert "FIRST INCIDENT" in demo.text
    assert "SECOND INCIDENT" not in demo.text
    assert demo.left == []
