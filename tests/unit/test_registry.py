"""What is known of a registry: new versions, their names, evidence; and the lanes that ask."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from exporters.base import Reason, Retry
from exporters.mlflow import Version
from monitor import registries
from monitor.clock import ManualClock
from monitor.core.arrivals import Arrivals
from monitor.core.outbox import Note
from monitor.core.registry import Registered, Registry, evidence, first_heard
from monitor.core.retrain import ClosedWindow, Firing
from monitor.core.state import Book, ModelState
from monitor.core.windows import Progress
from monitor.core.wishes import ask_for_retraining
from monitor.errors import StoreUnavailableError
from monitor.registries import Registries, heard
from monitor.registry_table import Registry as Table
from monitor.types import Changes
from tests.logs import MINUTE, model, plan_of

TABLE = Table(mlflow="http://registry", every=timedelta(seconds=60))
MADE = model(registry=TABLE)
START = 1_772_323_200_000_000  # 2026-03-01T00:00:00Z
WINDOW = ClosedWindow(START - MINUTE, START, "sha256:abc")
ASKED = Note("msg_1", "hook", "m", "{}", START)
INCOME = Firing("drift", "ks", "income", "all", "v2", 0.6, 0.2, "ep-income")
AGE = replace(INCOME, feature="age", score=None, threshold=None, episode="ep-age", version="1")


def known(*versions: Registered, last: int = 2) -> Registry:
    return Registry("source", "loans", versions, last)


def test_what_is_there_at_the_first_look_was_always_there() -> None:
    found = first_heard("source", "loans", [(1, ("1",)), (2, ("2",))])
    assert found == known(Registered(2, ("2",)), Registered(1, ("1",)))
    assert found.newest == 0
    assert first_heard("source", "loans", []).newest is None


def test_a_number_above_all_others_is_new_and_keeps_its_time() -> None:
    before = first_heard("source", "loans", [(1, ("1",)), (2, ("2",))])
    after = before.heard([(1, ("1",)), (3, ("3",))], 70)
    assert after == known(Registered(3, ("3",), 70), Registered(1, ("1",)), last=3)
    again = after.heard([(1, ("1",)), (2, ("2",)), (3, ("3", "best"))], 90)
    assert [version.since for version in again.versions] == [70, 0, 0]
    assert Registry.load(again.dump()) == again


def test_of_several_versions_with_a_name_the_newest_is_meant() -> None:
    found = first_heard("source", "loans", [(1, ("r",)), (2, ("r", "best"))])
    assert (found.number_of("r"), found.number_of("best"), found.number_of("x")) == (2, 2, None)


@pytest.mark.parametrize(
    ("tag", "names"),
    [("", ("7", "v7", "champion")), ("release", ("r7", "champion")), ("other", ("champion",))],
)
def test_what_a_log_may_call_a_version(tag: str, names: tuple[str, ...]) -> None:
    table = TABLE.model_copy(update={"version_tag": tag})
    found = heard(ModelState("m"), table, "m", [Version(7, ("champion",), {"release": "r7"})], 0)
    assert found.versions[0].names == names


def test_a_new_version_came_after_all_that_was_judged_and_another_registry_begins_anew() -> None:
    book = Book(progress=Progress(START + MINUTE, START))
    state = ModelState("m", book=book)
    first = heard(state, TABLE, "m", [Version(1)], MINUTE)
    state = replace(state, arrivals=Arrivals(registry=first))
    second = heard(state, TABLE, "m", [Version(2), Version(1)], MINUTE)
    assert second.newest == START + 1
    assert heard(state, TABLE, "other", [Version(2), Version(1)], MINUTE).newest == 0


def test_evidence_is_that_of_the_worst_monitor_of_each_version() -> None:
    registry = known(Registered(2, ("2", "v2")), Registered(1, ("1",)))
    elsewhere = replace(INCOME, version="v9")
    notes = evidence(registry, ASKED, [INCOME, replace(INCOME, feature="less"), AGE, elsewhere], WINDOW)

    assert set(notes) == {1, 2}
    assert (notes[2].id, notes[2].endpoint, notes[2].created) == ("msg_1_2", "mlflow:m", START)
    assert json.loads(notes[2].body) == {
        "name": "loans",
        "version": "2",
        "tags": {
            "driftd.requested_at": "2026-03-01T00:00:00Z",
            "driftd.request": "msg_1",
            "driftd.episode": "ep-income",
            "driftd.kind": "drift",
            "driftd.monitor": "income/ks/all",
            "driftd.score": "0.6",
            "driftd.threshold": "0.2",
            "driftd.window_start": "2026-02-28T23:59:00Z",
            "driftd.window_end": "2026-03-01T00:00:00Z",
            "driftd.reference": "sha256:abc",
        },
    }
    assert json.loads(notes[1].body)["tags"]["driftd.score"] == ""


def test_without_a_request_there_is_no_evidence() -> None:
    state = ModelState("m", arrivals=Arrivals(registry=known(Registered(1, ("v1",)))))
    assert ask_for_retraining(plan_of(MADE), state, {}, ["v1"], START).notes == []


@dataclass
class Client:
    """A registry that answers what it is told; it waits for `free` first."""

    answers: list[tuple[Version, ...] | Retry]
    free: threading.Event = field(default_factory=threading.Event)

    def versions(self, _now: datetime) -> tuple[Version, ...] | Retry:
        assert self.free.wait(60)
        return self.answers.pop(0)


@dataclass
class House:
    """The daemon's part: one model, a store that may be full, and a reload that may set the model aside."""

    worker: Any = field(default_factory=lambda: SimpleNamespace(plan=plan_of(MADE), state=ModelState("m")))
    commits: list[Changes] = field(default_factory=list)
    full: bool = False
    aside: bool = False

    def commit(self, _model: str, changes: Changes, _rejects: object, _notes: object) -> None:
        if self.full:
            raise StoreUnavailableError("the disk is full")
        self.commits.append(changes)

    def amend(self, _name: str, work: Callable[[Any], None]) -> bool:
        if not self.aside:
            work(self)
        return not self.aside


@dataclass
class Scene:
    client: Client
    house: House
    clock: ManualClock
    lanes: Registries

    def look(self, *answers: tuple[Version, ...] | Retry) -> None:
        """Let it look once, whenever its time comes next."""
        self.client.answers += answers
        self.clock.advance(60)
        self.lanes.look_and_wait()

    @property
    def up(self) -> list[float]:
        return [sample.value for sample in self.lanes.samples() if isinstance(sample.value, float)]


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    client, house, clock = Client([]), House(), ManualClock(datetime(2026, 3, 1, tzinfo=UTC))
    client.free.set()
    monkeypatch.setattr(registries, "registry_clients", lambda _models: {"m": client})
    tools: Any = SimpleNamespace(commit=house.commit)
    lanes = Registries(clock, tools, house.amend)
    lanes.configure([MADE])
    yield Scene(client, house, clock, lanes)
    client.free.set()
    lanes.close()


DOWN = Retry(Reason.CLIENT_ERROR, status=404)


def test_what_is_new_is_committed_once(scene: Scene) -> None:
    scene.look((Version(1),))
    scene.look((Version(1),))
    scene.look((Version(2), Version(1)))
    assert [list(changes) for changes in scene.house.commits] == [[("registry", "m", "")]] * 2
    assert scene.house.worker.state.arrivals.registry.last == 2


def test_after_the_end_no_look_begins(scene: Scene) -> None:
    scene.look((Version(1),))
    assert scene.lanes.close()
    scene.look((Version(2),))
    assert len(scene.client.answers) == 1


def test_a_lane_that_ends_while_the_others_are_gone_through_is_left_alone(scene: Scene) -> None:
    class Ending(dict[str, Any]):
        """Lanes as `look` goes through them, the last of which ends before its turn."""

        def values(self) -> Any:  # noqa: ANN401 - as a dict's
            for lane in super().values():
                lane.end()
                yield lane

    scene.lanes.lanes = Ending(scene.lanes.lanes)
    scene.look((Version(1),))
    assert len(scene.client.answers) == 1


def test_a_registry_that_is_down_says_so_once_and_once_that_it_is_back(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    assert scene.up == []
    scene.look(DOWN)
    scene.look(Retry(Reason.CONNECT))
    assert scene.up == [0.0]
    scene.look((Version(1),))
    assert scene.up == [1.0]
    told = [line for line in capsys.readouterr().out.splitlines() if "registry" in line]
    assert len(told) == 2
    assert "client_error 404" in told[0]
    assert "answers again" in told[1]


def test_a_registry_that_hangs_holds_nobody_up_and_is_asked_once_at_a_time(scene: Scene) -> None:
    scene.client.free.clear()
    scene.client.answers = [(Version(1),)]
    for _ in range(5):
        scene.clock.advance(60)
        scene.lanes.look()
    assert not scene.lanes.close()
    scene.client.free.set()


@pytest.mark.parametrize("trouble", ["full", "aside"])
def test_what_could_not_be_recorded_is_asked_for_again_soon(scene: Scene, trouble: str) -> None:
    setattr(scene.house, trouble, True)
    scene.look((Version(1),))
    assert scene.house.commits == []
    setattr(scene.house, trouble, False)
    scene.client.answers = [(Version(1),)]
    scene.clock.advance(registries.AGAIN)
    scene.lanes.look_and_wait()
    assert len(scene.house.commits) == 1


def test_an_answer_to_an_old_configuration_is_left(scene: Scene) -> None:
    scene.client.free.clear()
    scene.client.answers = [(Version(1),)]
    scene.lanes.look()
    old = next(iter(scene.lanes.lanes.values())).running
    scene.lanes.configure([model(registry=TABLE.model_copy(update={"name": "other"}))])
    scene.client.free.set()
    assert old is not None
    old.result()
    assert scene.house.commits == []


def test_a_model_without_a_registry_has_no_lane(scene: Scene) -> None:
    scene.lanes.configure([model()])
    scene.lanes.look_and_wait()
    assert scene.lanes.samples() == []
    assert scene.lanes.close()
