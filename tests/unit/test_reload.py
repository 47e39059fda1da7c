"""A configuration taken on while the daemon runs: whole, between two batches, or not at all."""

import base64
import json
import shutil
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import structlog

from monitor import building, polling
from monitor.clock import ManualClock
from monitor.config import Config
from monitor.core.annotations import ENDPOINT as ANNOTATIONS
from monitor.core.judging import detector_names
from monitor.core.state import load_model
from monitor.daemon import Daemon
from monitor.errors import StoreUnavailableError
from monitor.loading import load
from monitor.models import open_model
from monitor.reloading import ConfigFile
from monitor.requests import retry
from monitor.store.sqlite import SqliteStore
from monitor.supervisor import Supervisor
from monitor.types import EntryKey
from tests.programs import Project, Samples
from tests.seconds import START, lines

HOOK = """
[webhooks.training]
url = "http://127.0.0.1:9/NAME"
secret_file = "secret"
allow_private = true
"""


def model(name: str, **keys: str) -> str:
    """Return the table of a model whose logs are logs/NAME-*.jsonl; keys: as in TOML."""
    own = {
        "window": '"1h"',
        "lateness": '"10m"',
        "path": f'"logs/{name}-*.jsonl"',
        "alarms.budget": '"1 per 30d"',
    }
    own |= {key.replace("__", "."): value for key, value in keys.items()}
    path = own.pop("path")
    text = "\n".join(f"{key} = {value}" for key, value in own.items())
    return f"""
[[models]]
name = "{name}"
{text}
columns = {{ prediction_id = "id", timestamp = "at", prediction = "y" }}
features.numeric = ["x"]
reference.path = "reference.csv"
sources = [{{ role = "predictions", type = "files", path = {path} }}]
"""


class Told(Supervisor):
    """A supervisor that is told of reloads only."""

    def __init__(self, told: list[str]) -> None:
        super().__init__({})
        self._told = told

    @contextmanager
    def reloading(self, now: float) -> Iterator[None]:
        """Note its beginning and its end."""
        self._told.append("begins")
        with super().reloading(now):
            yield
        self._told.append("ends")


class Life:
    """A daemon in this process on a project's folder, and its configuration's file."""

    def __init__(self, project: Project, store: SqliteStore) -> None:
        self.project = project
        self.store = store
        self.clock = ManualClock(START + timedelta(days=1))
        self.loads = 0
        self.told: list[str] = []
        source = ConfigFile(project.folder / "config.toml", self._load)
        self.source = source
        supervisor = Told(self.told)
        self.daemon = Daemon(source.read(), store, self.clock, supervisor, source)

    def _load(self, path: Path) -> Config:
        self.loads += 1
        return load(path, {}, detector_names())

    def reload(self, text: str) -> tuple[str, ...]:
        self.project.configure(text)
        return self.daemon.reloads.reload()

    def watch(self, seconds: int) -> int:
        """Look at the file each second, as the schedule does; returns how often it was read."""
        before = self.loads
        for _ in range(seconds):
            self.clock.advance(1)
            self.daemon.reloads.look(watch=True)
        return self.loads - before

    def rows(self, name: str, first: int, count: int) -> None:
        """Let a model's log grow, and take it in."""
        self.project.append(f"{name}-0.jsonl", b"".join(lines(first, count)))
        assert not self.daemon.ingest().problem

    @property
    def entries(self) -> dict[EntryKey, bytes]:
        return self.store.load()

    @property
    def samples(self) -> Samples:
        self.clock.advance(1)
        return Samples.of(self.daemon.exposition.answer("", "").body.decode())

    def stored(self, name: str) -> float:
        return self.samples.total("driftd_events_stored_total", model=name)


def of(entries: dict[EntryKey, bytes], model: str) -> dict[EntryKey, bytes]:
    return {key: value for key, value in entries.items() if key[1] == model}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "reference.csv").write_text("x,y\n" + "".join(f"{i % 97},{i % 2}\n" for i in range(1_000)))
    (tmp_path / "secret").write_text(base64.b64encode(b"k" * 32).decode())
    return Project(tmp_path)


@contextmanager
def alive(project: Project, text: str) -> Iterator[Life]:
    project.configure(text)
    with closing(SqliteStore(project.state)) as store:
        life = Life(project, store)
        try:
            yield life
        finally:
            life.daemon.close()


def test_nothing_changed_changes_nothing(project: Project) -> None:
    with alive(project, model("a") + model("b") + HOOK) as life:
        life.rows("a", 0, 5000)
        before, models = life.entries, life.daemon.models

        with structlog.testing.capture_logs() as logs:
            assert life.reload(model("a") + "# a remark\n" + model("b") + HOOK) == ()

        assert [entry["event"] for entry in logs] == ["configuration read again, nothing has changed"]
        assert life.entries == before
        assert all(new is old for new, old in zip(life.daemon.models, models, strict=True))


def test_the_state_of_other_models_stays_to_the_byte(project: Project) -> None:
    with alive(project, model("a") + model("b")) as life:
        life.rows("a", 0, 5000)
        life.rows("b", 0, 5000)
        before, untouched = life.entries, life.daemon.models[0]

        assert (
            life.reload(
                model("a") + model("b", alarms__budget='"1 per 7d"', monitors='[{ detector = "psi" }]')
            )
            == ()
        )

        assert of(life.entries, "a") == of(before, "a")
        assert life.daemon.models[0] is untouched
        assert life.daemon.models[1].worker.plan.model.monitors[0].detector == "psi"
        life.rows("b", 5000, 5000)
        assert life.stored("b") == 10_000
        assert life.samples.total("driftd_drift_threshold", model="b", detector="psi") > 0
        assert life.samples.total("driftd_drift_threshold", model="a", detector="psi") == 0


def test_a_model_comes_goes_and_goes_on_where_it_stopped(project: Project) -> None:
    with alive(project, model("a")) as life:
        assert life.reload(model("a") + model("b")) == ()
        life.rows("b", 0, 5000)
        assert life.stored("b") == 5000
        kept = of(life.entries, "b")

        assert life.reload(model("a")) == ()
        life.rows("b", 5000, 1000)
        assert not [key for key in life.samples.values if ("model", "b") in key[1]]
        assert of(life.entries, "b") == kept

        assert life.reload(model("b") + model("a")) == ()
        life.rows("b", 6000, 1000)
        assert life.stored("b") == 7000


BROKEN = {
    "a syntax error": "models = [",
    "an unknown key": model("a", windows='"1d"') + model("b"),
    "a reference that is not there": model("a") + model("b").replace("reference.csv", "none.csv"),
    "a reference that is no use": model("a") + model("b").replace("reference.csv", "secret"),
    "another window": model("a", window='"30m"') + model("b"),
    "a webhook without its secret": model("a") + model("b") + HOOK.replace('secret"', 'none"'),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_configuration_leaves_the_running_one(project: Project, what: str) -> None:
    good = model("a") + model("b")
    with alive(project, good) as life:
        life.rows("a", 0, 5000)
        before, models, at = life.entries, life.daemon.models, life.clock.now().timestamp()
        life.clock.advance(100)

        with structlog.testing.capture_logs() as logs:
            complaints = life.reload(BROKEN[what])

        assert complaints
        assert [e["complaint"] for e in logs if e["log_level"] == "error"] == list(complaints)
        assert (life.entries, life.daemon.models) == (before, models)
        assert life.samples.get("driftd_config_last_reload_successful") == 0
        assert life.samples.get("driftd_config_last_reload_success_timestamp_seconds") == at
        life.rows("a", 5000, 1000)
        assert life.stored("a") == 6000
        assert life.reload(good) == ()
        assert life.samples.get("driftd_config_last_reload_successful") == 1
        assert (life.samples.get("driftd_config_last_reload_success_timestamp_seconds") or 0) > at + 99


def test_a_watched_file_is_tried_again_while_what_it_names_is_not_there_yet(project: Project) -> None:
    late = project.folder / "late.csv"
    text = model("a") + model("b").replace("reference.csv", late.name)
    with alive(project, model("a")) as life:
        project.configure(text)
        with structlog.testing.capture_logs() as logs:
            assert life.watch(600) == pytest.approx(15, abs=2)  # after 2, 4, ... 60 seconds
        assert [e["log_level"] for e in logs] == ["error"]
        assert life.samples.get("driftd_config_last_reload_successful") == 0

        shutil.copy(project.folder / "reference.csv", late)
        assert life.watch(120) == 1
        assert life.samples.get("driftd_config_last_reload_successful") == 1
        assert len(life.daemon.models) == 2


def test_a_watched_file_whose_text_is_wrong_is_not_tried_again(project: Project) -> None:
    with alive(project, model("a")) as life:
        for wrong in ("models = [", model("a", windows='"1d"'), "models = []"):
            project.configure(wrong)
            assert life.watch(600) == 1


def test_a_reload_is_told_to_the_supervisor(project: Project) -> None:
    with alive(project, model("a")) as life:
        life.reload(model("a") + model("b"))
        life.reload("models = [")
    assert life.told == ["begins", "ends"] * 2


def test_another_length_of_windows_is_refused_in_one_line_while_some_are_open(project: Project) -> None:
    with alive(project, model("a")) as life:
        life.rows("a", 0, 5000)

        (line,) = life.reload(model("a", window='"30m"'))
        assert line == (
            'models.a.window: the state has open windows of 1h; set "1h" again, then stop the daemon, '
            "run `driftd run --once --flush`, and change it"
        )

        life.daemon.flush()
        assert life.reload(model("a", window='"30m"')) == ()
        life.rows("a", 10_000, 5000)
        assert life.samples.total("driftd_windows_closed_total", model="a") > 2


def test_what_a_start_alone_can_change_stays_and_is_said(project: Project) -> None:
    with alive(project, '[daemon]\nlisten = "127.0.0.1:0"\n' + model("a")) as life:
        other = '[daemon]\nlisten = "127.0.0.1:1"\nstate = "elsewhere"\ncommit_every = "2s"\n'
        with structlog.testing.capture_logs() as logs:
            assert life.reload(other + model("a")) == ()

        said = [entry["key"] for entry in logs if entry["log_level"] == "warning"]
        assert said == ["daemon.state", "daemon.listen"]
        assert life.daemon.config.daemon.listen == "127.0.0.1:0"
        assert life.daemon.config.daemon.state == project.state
        assert life.daemon.config.daemon.commit_every == timedelta(seconds=2)
        assert not (project.folder / "elsewhere").exists()


def test_the_collector_stays_until_the_next_start_and_that_is_said(project: Project) -> None:
    table = '[exporters.otlp]\nendpoint = "http://127.0.0.1:1"\ninterval = "1h"\n'
    (project.folder / "key").write_text("one")
    with alive(project, table + 'headers.x-key = { file = "key" }\n' + model("a")) as life:
        running = life.daemon.config.exporters.otlp
        (project.folder / "key").write_text("two")
        for text, said in ((table + 'headers.x-key = { file = "key" }\n', 0), (table, 1), ("", 1)):
            with structlog.testing.capture_logs() as logs:
                assert life.reload(text + model("a")) == ()
            assert [entry.get("key") for entry in logs].count("exporters.otlp") == said
            assert life.daemon.config.exporters.otlp == running


def test_a_file_without_a_name_is_read_to_its_end(project: Project) -> None:
    with alive(project, model("a")) as life:
        life.rows("a", 0, 100)
        path = project.folder / "logs" / "a-0.jsonl"
        project.append(path.name, b"".join(lines(100, 100)))
        path.unlink()

        assert life.reload(model("a", alarms__min_rows="20")) == ()

        life.daemon.ingest()
        assert life.stored("a") == 200


def test_a_source_that_is_configured_no_more_is_closed(project: Project) -> None:
    with alive(project, model("a")) as life:
        life.rows("a", 0, 100)
        (old, _), *_ = life.daemon.models[0].sources
        closed: list[bool] = []
        old.close = lambda: closed.append(True)  # type: ignore[method-assign]

        assert life.reload(model("a", alarms__min_rows="20")) == ()
        assert not closed
        assert life.reload(model("a", path='"logs/*.jsonl"')) == ()
        assert closed
        life.rows("a", 100, 100)
        assert life.stored("a") == 200


def test_a_log_goes_on_wherever_its_source_stands(project: Project) -> None:
    def two(first: str, *others: str) -> str:
        sources = [
            f'{{ role = "predictions", type = "files", path = "logs/{n}-*.jsonl" }}' for n in (first, *others)
        ]
        return model("m").replace(
            '{ role = "predictions", type = "files", path = "logs/m-*.jsonl" }', ", ".join(sources)
        )

    with alive(project, two("x", "y")) as life:
        life.rows("x", 0, 300)
        life.rows("y", 300, 200)
        for text, rows in ((two("y", "x"), 500), (two("y"), 600), (two("new", "x", "y"), 700)):
            assert life.reload(text) == ()
            life.rows("x", rows, 100)

        assert life.stored("m") == 800
        assert life.samples.total("driftd_events_duplicate_total", model="m") == 0


def test_other_models_go_on_while_one_is_opened(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    with alive(project, model("a") + model("b")) as life:
        life.rows("a", 0, 100)
        life.rows("b", 0, 100)
        stored: dict[str, float] = {}

        def slow(*given: Any, **named: Any) -> Any:  # noqa: ANN401 - as open_model
            life.rows("a", 100, 100)
            life.rows("b", 100, 100)
            stored.update({name: life.stored(name) for name in "ab"})
            return open_model(*given, **named)

        monkeypatch.setattr(building, "open_model", slow)
        assert life.reload(model("a") + model("b", alarms__min_rows="20")) == ()

        assert stored == {"a": 200, "b": 100}
        assert not life.daemon.ingest().problem
        assert life.stored("b") == 200


def test_a_full_disk_leaves_all_as_it_was(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    with alive(project, model("a")) as life:
        life.rows("a", 0, 100)
        before, models = life.entries, life.daemon.models

        def full(_changes: object) -> None:
            raise StoreUnavailableError("the disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(life.store, "commit", full)
            assert life.reload(model("a", series_limit="200") + model("b")) == ("the disk is full",)

        assert (life.entries, life.daemon.models) == (before, models)
        assert [m.name for m in life.daemon.config.models] == ["a"]
        life.rows("a", 100, 100)
        assert life.reload(model("a", series_limit="200") + model("b")) == ()
        assert life.stored("a") == 200


def test_a_fault_of_ours_is_told_by_its_type_alone(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    with alive(project, model("a")) as life:

        def broken(*_given: object) -> None:
            raise ZeroDivisionError("a row of the user's")

        monkeypatch.setattr(building, "open_model", broken)

        (line,) = life.reload(model("a") + model("b"))

        assert line == "the reload was stopped by ZeroDivisionError; please report it"
        life.rows("a", 0, 100)
        assert life.stored("a") == 100


def test_a_daemon_that_stops_takes_nothing_on(project: Project) -> None:
    with alive(project, model("a")) as life:
        life.daemon.stop()

        (line,) = life.reload(model("a") + model("b"))

        assert line.startswith("the daemon stops")
        assert [m.worker.plan.name for m in life.daemon.models] == ["a"]


def test_requests_that_wait_go_to_the_new_address(project: Project) -> None:
    retrain = 'retrain = [{ webhook = "training", when = ["quality"] }]'
    hook = model("a", monitors='[{ detector = "quality" }]').replace("columns", f"{retrain}\ncolumns") + HOOK
    with alive(project, hook) as life:
        life.rows("a", 0, 3600)
        project.append("a-0.jsonl", b"".join(line.replace(b'"x"', b'"z"') for line in lines(3600, 10_000)))
        life.daemon.ingest()
        before = dict(life.daemon.outbox.queued)
        assert before
        assert life.daemon.deliver_and_wait() == len(before)

        other = hook.replace("NAME", "elsewhere")
        assert life.reload(other) == ()

        after = life.daemon.outbox
        assert after.queued.keys() == before.keys()
        assert {q.note.attempts for q in after.queued.values()} == {1}
        assert {q.note.body for q in after.queued.values()} == {q.note.body for q in before.values()}
        assert after.endpoints["training"].url_hash == sha256(b"http://127.0.0.1:9/elsewhere").hexdigest()
        life.clock.advance(3600)
        assert life.daemon.deliver_and_wait() == len(before)


def test_requests_for_a_webhook_that_is_taken_out_are_given_up_and_can_be_asked_for(project: Project) -> None:
    retrain = 'retrain = [{ webhook = "training", when = ["quality"] }]'
    hook = model("a", monitors='[{ detector = "quality" }]').replace("columns", f"{retrain}\ncolumns") + HOOK
    with alive(project, hook) as life:
        life.rows("a", 0, 3600)
        project.append("a-0.jsonl", b"".join(line.replace(b'"x"', b'"z"') for line in lines(3600, 10_000)))
        life.daemon.ingest()
        waiting = list(life.daemon.outbox.queued)
        assert life.samples.get("driftd_outbox_pending") == len(waiting) > 0

        assert life.reload(model("a")) == ()
        assert life.daemon.deliver_and_wait() == 0
        assert life.samples.get("driftd_outbox_oldest_age_seconds") == 0
        assert life.samples.get("driftd_outbox_dead_letters") == len(waiting)

        assert life.reload(hook) == ()
        assert life.daemon.deliver_and_wait() == 0
        life.store.commit(retry(waiting[0]))
        assert life.daemon.deliver_and_wait() == 1


GRAFANA = """
[exporters.grafana]
url = "http://127.0.0.1:9"
token_file = "token"
"""


def annotations(life: Life) -> list[tuple[str, bool, str]]:
    """Return what Grafana is told: the episode, whether it is of the end, and how the note stands."""
    notes = [q.note for q in life.daemon.outbox.queued.values() if q.note.endpoint == ANNOTATIONS]
    bodies = [json.loads(note.body) for note in notes]
    return sorted(
        (b["episode"], b["timeEnd"] is not None, str(n.state)) for n, b in zip(notes, bodies, strict=True)
    )


def fires(life: Life) -> list[str]:
    """Let the model a fire; returns its episodes."""
    life.rows("a", 0, 3600)
    life.project.append("a-0.jsonl", b"".join(line.replace(b'"x"', b'"z"') for line in lines(3600, 10_000)))
    life.daemon.ingest()
    found = sorted(e["id"] for e in life.daemon.desk.episodes())
    assert found
    return found


def test_what_fires_is_over_for_grafana_when_its_model_is_taken_out(project: Project) -> None:
    (project.folder / "token").write_text("glsa_x")
    both = model("b") + model("a", monitors='[{ detector = "quality" }]')
    with alive(project, both + GRAFANA) as life:
        episodes = fires(life)
        assert annotations(life) == [(e, False, "pending") for e in episodes]

        assert life.reload(model("b") + GRAFANA) == ()
        found = annotations(life)
        assert found == [(e, ends, "pending") for e in episodes for ends in (False, True)]
        bodies = [json.loads(q.note.body) for q in life.daemon.outbox.queued.values()]
        trips = load_model("a", life.entries).trips.values()
        last = {trip.episode: trip.window for trip in trips if trip.episode in episodes}
        told = {b["episode"]: b["timeEnd"] * 1000 for b in bodies if b["timeEnd"]}
        assert told == {episode: start + 3600 * 10**6 for episode, start in last.items()}
    with alive(project, model("b") + GRAFANA) as life:
        assert annotations(life) == found


def test_a_grafana_that_comes_back_is_told_what_it_missed(project: Project) -> None:
    (project.folder / "token").write_text("glsa_x")
    quality = model("a", monitors='[{ detector = "quality" }]')
    with alive(project, quality + GRAFANA) as life:
        episodes = fires(life)
        assert life.reload(quality) == ()
        assert life.daemon.deliver_and_wait() == 0
        assert annotations(life) == [(e, False, "dead") for e in episodes]
        life.rows("a", 13_600, 40_000)
        assert {e["state"] for e in life.daemon.desk.episodes()} == {"ended"}

        assert life.reload(quality + GRAFANA) == ()
        assert annotations(life) == [(e, ends, "pending") for e in episodes for ends in (False, True)]
        assert life.daemon.deliver_and_wait() == 2 * len(episodes)


def test_a_reload_does_what_a_start_does(project: Project) -> None:
    """The same change, taken on by one daemon and found by another at its start, is the same state."""
    first = model("a", alarms__min_rows="20")
    second = model("a", monitors='[{ detector = "ks" }, { detector = "quality" }]', lateness='"20m"')
    second = second.replace("columns", 'reference.path = "other.csv"\ncolumns').replace(
        '\nreference.path = "reference.csv"', ""
    )
    shutil.copy(project.folder / "reference.csv", project.folder / "other.csv")
    started = Project(project.folder, kept="started")
    with alive(project, first) as life:
        life.rows("a", 0, 8000)
        shutil.copytree(project.state, started.state)
        assert life.reload(second) == ()
        life.rows("a", 8000, 8000)
        reloaded = life.entries
    with alive(started, f'[daemon]\nstate = "started"\n{second}') as life:
        assert not life.daemon.ingest().problem
        assert life.entries == reloaded


def test_a_reload_does_not_wait_for_all_that_is_to_be_read(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "ROWS", 100)
    with alive(project, model("a")) as life, ThreadPoolExecutor(1) as pool:
        project.append("a-0.jsonl", b"".join(lines(0, 5000)))
        asked: list[Future[tuple[str, ...]]] = []
        commit, waiting = life.store.commit, threading.Event()
        still = life.daemon.fleet.still

        def heard() -> AbstractContextManager[None]:
            """Note that somebody waits; the batch under way goes on then."""
            waiting.set()
            return still()

        def first(changes: Mapping[EntryKey, bytes | None]) -> None:
            if not asked:
                asked.append(pool.submit(life.reload, model("a") + model("b")))
                assert waiting.wait(60)
            commit(changes)

        monkeypatch.setattr(life.daemon.fleet, "still", heard)
        monkeypatch.setattr(life.store, "commit", first)

        assert life.daemon.ingest().batches < 50
        assert asked[0].result(60) == ()
        assert [m.worker.plan.name for m in life.daemon.models] == ["a", "b"]
        life.daemon.ingest()
        assert life.stored("a") == 5000


def test_a_threshold_is_in_force_from_the_next_window_on(project: Project) -> None:
    def limit(threshold: float) -> str:
        return model("a", monitors=f'[{{ detector = "psi", threshold = {threshold} }}]')

    with alive(project, limit(0.2)) as life:
        life.rows("a", 0, 3600 + 700)
        assert life.samples.total("driftd_drift_threshold", detector="psi", feature="x") == 0.2

        assert life.reload(limit(0.3)) == ()
        assert life.samples.total("driftd_drift_threshold", detector="psi", feature="x") == 0.2
        life.rows("a", 3600 + 700, 3600)

        assert life.samples.total("driftd_drift_threshold", detector="psi", feature="x") == 0.3
        assert life.samples.get("driftd_windows_closed_total", model="a") == 2
        assert life.samples.get("driftd_window_rows", model="a", version="", segment="all") == 3600
