"""A service of processes and threads writes through the client, and the daemon counts each row once."""

import sys
from pathlib import Path

import pytest

from tests.programs import Program, Project, eventually

pytestmark = pytest.mark.acceptance

PROCESSES, THREADS, ROWS = 2, 8, 1000
SERVICE = f"""
import os, sys, threading
from datetime import UTC, datetime, timedelta
from monitor.client import Log

log = Log(sys.argv[1], rotate=100_000, keep=10_000)
log.prediction(id="parent", timestamp=datetime(2026, 1, 1, tzinfo=UTC), features={{"x": 0.5}}, prediction="a")

def work(process, thread):
    for row in range({ROWS}):
        time = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=row)
        name = f"{{process}}-{{thread}}-{{row}}"
        log.prediction(id=name, timestamp=time, features={{"x": float("nan")}}, prediction="a")
        log.outcome(id=name, label="a", timestamp=time)

for process in range({PROCESSES}):
    if os.fork() == 0:
        threads = [threading.Thread(target=work, args=(process, n)) for n in range({THREADS})]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        sys.exit(0)
while True:
    try: os.wait()
    except ChildProcessError: break
"""
CONFIG = """
[daemon]
listen = "127.0.0.1:0"
commit_every = "50ms"
[[models]]
name = "service"
task = "binary"
columns = { prediction_id = "id", prediction = "prediction", label = "label" }
features.numeric = ["x"]
performance.classes = ["a", "b"]
reference.first = "2d"
[[models.sources]]
role = "predictions"
type = "files"
path = "logs/predictions-*.jsonl"
[[models.sources]]
role = "outcomes"
type = "files"
path = "logs/outcomes-*.jsonl"
"""


def test_what_is_logged_is_stored_once_through_forks_threads_and_rotation(tmp_path: Path) -> None:
    project = Project(tmp_path).configure(CONFIG)
    sent = PROCESSES * THREADS * ROWS
    with project.start().ready() as daemon:
        service = [sys.executable, "-c", SERVICE, str(tmp_path / "logs")]
        with Program(service, tmp_path / "service.log", project.environment) as program:
            assert program.process.wait(60) == 0, program.text

        def stored(source: str) -> float:
            return daemon.samples().total("driftd_events_stored_total", source=source)

        eventually(lambda: stored("predictions-0") == sent + 1 and stored("outcomes-1") == sent)
        for what in ("rejected", "duplicate", "late"):
            assert daemon.samples().total(f"driftd_events_{what}_total") == 0

    assert len(list((tmp_path / "logs").glob("predictions-?.*.jsonl"))) > 2 * PROCESSES
    assert not list((tmp_path / "logs").glob("predictions-3*"))
