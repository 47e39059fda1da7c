"""Scrapes of a daemon that is busy: fifty at a time, more labels than there is room for, exemplars."""

import gzip
import json
import random
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path

import polars as pl
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from tests.programs import Daemon, Project, Samples, eventually
from tests.prometheus import scraping

pytestmark = pytest.mark.acceptance

OPENMETRICS = "application/openmetrics-text;version=1.0.0"
LIMIT = 400
ROWS, PIECES = 40_000, 8
HOURS = 100
START = datetime(2026, 1, 1, tzinfo=UTC)
CONFIG = f"""
[daemon]
listen = "127.0.0.1:0"
commit_every = "20ms"

[[models]]
name = "m"
window = "1h"
lateness = "1m"
series_limit = {LIMIT}
columns = {{ timestamp = "at", prediction_id = "id", prediction = "y", version = "v", segments = ["place"] }}
features.numeric = ["a", "b", "c", "d", "e"]
reference.path = "reference.parquet"

[[models.sources]]
role = "predictions"
type = "files"
path = "logs/*.jsonl"
"""


def rows(count: int, shift: float = 0.0, *, bomb: bool = False) -> pl.DataFrame:
    """Return rows spread over HOURS; as a bomb nearly each has a version and a place of its own."""
    rng = random.Random(7)
    odd = 'p"{}\n\\é' if bomb else "{}"
    return pl.DataFrame(
        {
            "id": [f"{shift}/{i}" for i in range(count)],
            "at": [(START + timedelta(hours=HOURS) * i / count).isoformat() for i in range(count)],
            "y": [float(i % 2) for i in range(count)],
            "v": [f"v{rng.randrange(10**6) if bomb else 1}" for _ in range(count)],
            "place": [odd.format(rng.randrange(10**6) if bomb else i % 3) for i in range(count)],
            **{name: [rng.gauss(shift, 1.0) for _ in range(count)] for name in "abcde"},
        }
    )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path).configure(CONFIG, rows(5000))


@pytest.fixture
def daemon(project: Project) -> Iterator[Daemon]:
    with project.start() as running:
        yield running.ready()
        assert running.stop() == 0


def scrape(connection: HTTPConnection) -> str:
    """Return one page as Prometheus asks for it."""
    connection.request("GET", "/metrics", headers={"Accept": OPENMETRICS, "Accept-Encoding": "gzip"})
    answer = connection.getresponse()
    body = answer.read()
    assert (answer.status, answer.headers["content-encoding"]) == (200, "gzip")
    return gzip.decompress(body).decode()


def account(text: str) -> tuple[float, float]:
    """Return the rows received, and the sum of what became of them."""
    found = {
        what: float(n)
        for what, n in re.findall(r"^driftd_events_(\w+)_total{[^}]*} (\S+)", text, re.MULTILINE)
    }
    return found.pop("received"), sum(found.values())


def test_fifty_scrapers_see_whole_commits_while_rows_come_in(project: Project, daemon: Daemon) -> None:
    done = threading.Event()
    lines = rows(ROWS).write_ndjson().encode().splitlines(keepends=True)
    step = ROWS // PIECES

    def follow() -> int:
        connection, before, pages = HTTPConnection(daemon.address, timeout=60), 0.0, 0
        while not done.is_set():
            received, accounted = account(scrape(connection))
            assert received == accounted >= before
            before, pages = received, pages + 1
        connection.close()
        return pages

    def come(count: int) -> None:
        eventually(lambda: daemon.samples().total("driftd_events_received_total") >= count)

    with ThreadPoolExecutor(50) as pool:
        scrapers = [pool.submit(follow) for _ in range(50)]
        try:
            for begin in range(0, ROWS, step):
                project.append("log.jsonl", b"".join(lines[begin : begin + step]))
                come(begin + 1)
            come(ROWS)
        finally:
            done.set()
        assert min(scraper.result() for scraper in scrapers) >= 1
    assert daemon.samples().total("driftd_events_stored_total") == ROWS


def test_a_bomb_of_versions_and_places_stays_within_the_limit(project: Project, daemon: Daemon) -> None:
    project.append("log.jsonl", rows(ROWS, bomb=True).write_ndjson().encode())
    eventually(lambda: daemon.samples().total("driftd_events_stored_total") == ROWS)
    eventually(lambda: daemon.samples().total("driftd_series_left_out"))

    text = daemon.get("/metrics")[2]
    samples = Samples.of(text)
    of_model = [line for line in text.splitlines() if 'model="m"' in line]
    assert samples.total("driftd_series_active") <= LIMIT
    assert len(of_model) < LIMIT + 30
    assert samples.total("driftd_monitors_left_out") > 100
    assert samples.total("driftd_drift_state", feature="_other", detector="_other") == 1
    said = Samples.of(project.metrics())
    assert {key for key in said.values if "drift_" in key[0]} == {
        key for key in samples.values if "drift_" in key[0]
    }


def test_a_real_prometheus_keeps_the_episodes_as_exemplars(
    project: Project, daemon: Daemon, program: Callable[[str], str], tmp_path: Path
) -> None:
    project.append("log.jsonl", rows(20_000, shift=3.0).write_ndjson().encode())
    eventually(lambda: daemon.samples().total("driftd_features_firing") == 5)
    families = parse_openmetrics(daemon.get("/metrics", accept=OPENMETRICS)[2])  # type: ignore[no-untyped-call]  # no types
    counters = [s for family in families for s in family.samples if s.name == "driftd_drift_episodes_total"]
    named = {s.exemplar.labels["episode_id"] for s in counters if s.exemplar is not None}
    assert len(named) >= 5

    folder = tmp_path / "prometheus"
    folder.mkdir()
    option = "--enable-feature=exemplar-storage"
    with scraping(program("prometheus"), daemon.address, folder, option) as prometheus:
        window = {"start": START.timestamp(), "end": (START + timedelta(days=10)).timestamp()}

        def kept() -> set[str]:
            found = prometheus.ask("query_exemplars", query="driftd_drift_episodes_total", **window)
            return {e["labels"]["episode_id"] for series in found for e in series["exemplars"]}

        eventually(lambda: kept() == named, json.dumps(sorted(named)))
