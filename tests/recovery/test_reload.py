"""Many reloads, some of them broken, while the logs grow: in the end all is as by an undisturbed run.

What the good ones change makes no difference to what is found, but the model is opened anew for most of them,
and its source for some.
"""

import random
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from http.client import HTTPConnection

import polars as pl
import pytest

from tests.programs import Daemon, Project
from tests.recovery import test_kill as plain
from tests.recovery import test_kill_join as joined
from tests.recovery.test_kill import lines, project  # noqa: F401 - fixtures
from tests.recovery.test_kill_join import project as joining  # noqa: F401 - fixture
from tests.server import BEARER, TOKEN, WRITABLE

pytestmark = pytest.mark.acceptance

RELOADS, PIECES, ROWS = 40, 30, 30_000
OTHER = """
[[models]]
name = "other"
columns = { prediction = "y_pred" }
features.numeric = ["car_value"]
reference.path = "reference.parquet"
sources = [{ role = "predictions", type = "files", path = "logs/predictions.jsonl" }]
"""
Change = Callable[[str], str]
WATCHED = ("[daemon]", f"[daemon]\nwatch_config = true{WRITABLE}")
GOOD: Sequence[Change] = (
    lambda text: text + "# a remark\n",
    lambda text: text + OTHER,
    lambda text: text.replace("60ms", "90ms"),
    lambda text: text.replace('window = "', 'series_limit = 4000\nwindow = "'),
    lambda text: text.replace('"logs/predictions.jsonl', '"logs/prediction?.jsonl'),
    lambda text: text.replace("127.0.0.1:9/", "127.0.0.1:9/elsewhere"),
    lambda text: text.replace("[daemon]", '[daemon]\nrejects_max = "32MiB"'),
    lambda text: text.replace('"4KiB"', '"5KiB"'),
)
BROKEN: Sequence[Change] = (
    lambda text: text + "[[",
    lambda text: text.replace("lateness", "latenes"),
    lambda text: text.replace('columns.timestamp = "timestamp"', 'columns.timestamp = "id"'),
    lambda text: text + OTHER.replace("reference.parquet", "none.parquet"),
    lambda text: text + OTHER + '[[models.monitors]]\ndetector = "no such"\n',
)


def asked(daemon: Daemon) -> int:
    """Reload by HTTP; returns the status."""
    connection = HTTPConnection(daemon.address, timeout=60)
    try:
        connection.request("POST", "/-/reload", headers=BEARER)
        return connection.getresponse().status
    finally:
        connection.close()


def changed(daemon: Daemon, running: Project, text: str, rng: random.Random) -> None:
    """Change the file and have it read by a signal, or because it is watched."""
    running.configure(text)
    if rng.random() < 0.7:
        daemon.process.send_signal(signal.SIGHUP)
        time.sleep(rng.uniform(0, 1.2))
    else:
        time.sleep(rng.uniform(0, 2.5))  # it is watched


def disturbed(running: Project, base: str, grow: Callable[[int], None], rng: random.Random) -> None:
    """Reload again and again while the logs grow; a few times the daemon is killed, and started again."""
    base = base.replace(*WATCHED)
    (running.folder / "token").write_text(TOKEN)
    lives = [*sorted(rng.sample(range(1, RELOADS), 3)), RELOADS]
    number = refused = 0
    for end in lives:
        running.configure(base)
        with running.start() as daemon:
            daemon.ready()
            while number < end:
                grow(number)
                time.sleep(rng.uniform(0, 0.2))
                good = number % 3 > 0
                text = rng.choice(GOOD if good else BROKEN)(base)
                if number % 2 == 0:
                    running.configure(text)
                    assert asked(daemon) == (200 if good else 422), daemon.text
                else:
                    changed(daemon, running, text, rng)
                number += 1
            refused += daemon.text.count("configuration refused")
            assert "Traceback" not in daemon.text
            running.configure(base)
            if end == RELOADS:
                assert asked(daemon) == 200
                assert daemon.samples().get("driftd_config_last_reload_successful") == 1
                assert daemon.stop() == 0
    assert refused >= RELOADS // 6


def test_reloaded_many_times_it_ends_as_if_undisturbed(
    project: Project,  # noqa: F811 - the fixture
    lines: list[bytes],  # noqa: F811 - the fixture
) -> None:
    rng = random.Random(20261122)
    log = plain.spoiled(lines, rng)
    left = plain.pieces_of(log, PIECES, rng)

    def grow(number: int) -> None:
        if number * PIECES // RELOADS != (number + 1) * PIECES // RELOADS:
            project.append("predictions.jsonl", left.pop(0))

    disturbed(project, plain.CONFIG.replace("STATE", "state"), grow, rng)
    assert not left
    project.configure(plain.CONFIG.replace("STATE", "state"))
    plain.finish(project, plain.rows_in(log))

    calm = plain.undisturbed(project)
    assert project.metrics() == calm.metrics()
    assert plain.rejects_of(project) == plain.rejects_of(calm)
    assert project.samples().total("driftd_drift_episodes_total") > 0


def test_reloaded_while_joining_it_ends_as_if_undisturbed(
    joining: Project,  # noqa: F811 - the fixture
    car_loans: pl.DataFrame,
) -> None:
    rng = random.Random(7)
    left = list(joined.pieces(car_loans.drop("period").slice(50_000, ROWS)))

    def grow(number: int) -> None:
        if left and number % 2 == 0:
            joined.append(joining, left.pop(0))

    disturbed(joining, joined.CONFIG.replace("STATE", "state"), grow, rng)
    assert not left
    joining.configure(joined.CONFIG.replace("STATE", "state"))
    joined.finish(joining)

    calm = replace(joining, config="calm.toml", kept="calm")
    calm.configure(joined.CONFIG.replace("STATE", "calm")).once("--flush")
    assert joining.metrics() == calm.metrics()
    ours, theirs = (
        {k: v for k, v in one.entries().items() if k[0] in joined.JOINED and k[1] == joined.MODEL}
        for one in (joining, calm)
    )
    assert ours == theirs
    assert joined.unnamed(joining) == set()
