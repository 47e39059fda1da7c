"""Answers to episodes: the first acknowledgement stands, reports repeat safely, all of it is durable."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from msgspec.structs import replace

from monitor.core.state import ModelState
from monitor.errors import ConflictError, NotFoundError, StoreUnavailableError
from monitor.facts import episode_samples
from monitor.outgoing import Outbox
from monitor.responses import REPORTS, Ack, Desk, Report, Response, load_responses, open_episodes
from monitor.status import as_text, status
from monitor.store.memory import MemoryStore
from monitor.types import EntryKey
from tests.episodes import episode, firing
from tests.logs import EPOCH


@dataclass
class Shop:
    """A desk on a store, as the daemon sets it up; `full`: the disk is."""

    store: MemoryStore = field(default_factory=MemoryStore)
    full: bool = False
    now: int = EPOCH

    def __post_init__(self) -> None:
        ended = episode("ep_over", "z", ended=EPOCH)
        self.watching = [firing("m", episode("ep_1"), ended), firing("n", episode("ep_2"))]
        self.desk = Desk(load_responses(self.store.load()), lambda: self.watching, self._write, self._clock)

    def _write(self, changes: Mapping[EntryKey, bytes | None]) -> None:
        if self.full:
            raise StoreUnavailableError("nothing was recorded")
        self.store.commit(changes)

    def _clock(self) -> int:
        self.now += 1
        return self.now


def test_an_acknowledgement_is_stored_and_survives_a_restart() -> None:
    shop = Shop()
    answer = shop.desk.acknowledge("ep_1", "anna", "a late feed")
    assert answer["acknowledged"]["who"] == "anna"
    assert answer["state"] == "firing"
    again = Shop(shop.store)
    assert again.desk.episode("ep_1") == answer
    assert [e["id"] for e in again.desk.episodes()][-1] == "ep_over"


def test_the_first_acknowledgement_stands() -> None:
    shop = Shop()
    first = shop.desk.acknowledge("ep_1", "anna", "a late feed")
    commits = shop.store.commits
    assert shop.desk.acknowledge("ep_1", "anna", "a late feed") == first
    assert shop.store.commits == commits
    for who, why in (("ben", "a late feed"), ("anna", "something else")):
        with pytest.raises(ConflictError, match="acknowledged by anna already, at 20"):
            shop.desk.acknowledge("ep_1", who, why)
    assert shop.desk.episode("ep_1") == first


def test_of_many_at_once_one_is_first() -> None:
    shop = Shop()

    def tried(who: str) -> bool:
        try:
            return bool(shop.desk.acknowledge("ep_1", who, "mine")["acknowledged"]["who"] == who)
        except ConflictError:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(tried, map(str, range(50)))) == 1


def test_one_that_is_over_can_be_acknowledged_and_an_unknown_one_cannot() -> None:
    desk = Shop().desk
    assert desk.acknowledge("ep_over", "anna", "was a holiday")["state"] == "ended"
    with pytest.raises(NotFoundError):
        desk.acknowledge("ep_9", "a", "b")
    with pytest.raises(NotFoundError):
        desk.report("", "started", "r", "")
    with pytest.raises(NotFoundError):
        desk.episode("ep_9")


def test_on_a_full_disk_nothing_is_said_to_be_known() -> None:
    shop = Shop(full=True)
    with pytest.raises(StoreUnavailableError):
        shop.desk.acknowledge("ep_1", "anna", "late")
    assert shop.desk.episode("ep_1")["acknowledged"] is None


def test_a_retraining_is_followed_and_reports_may_repeat() -> None:
    shop = Shop()
    shop.desk.acknowledge("ep_1", "anna", "retraining")
    for _ in range(3):
        assert shop.desk.report("ep_1", "started", "r1", "")["retraining"]["state"] == "started"
    shop.desk.report("ep_1", "failed", "r1", "")
    shop.desk.report("ep_1", "started", "r2", "")
    for _ in range(2):
        found = shop.desk.report("ep_1", "finished", "r2", "v3")
    assert [(r["state"], r["run"], r["version"]) for r in found["reports"]] == [
        ("started", "r1", ""),
        ("failed", "r1", ""),
        ("started", "r2", ""),
        ("finished", "r2", "v3"),
    ]
    assert found["retraining"]["version"] == "v3"
    assert found["acknowledged"]["who"] == "anna"
    assert shop.desk.report("ep_1", "started", "r1", "")["reports"] == found["reports"]  # a late repetition
    with pytest.raises(ConflictError, match="run r2 has finished already"):
        shop.desk.report("ep_1", "failed", "r2", "")


def test_reports_are_bounded() -> None:
    known = Response()
    for i in range(REPORTS + 5):
        known = known.reported(Report("started", f"r{i}", "", i))
    assert [r.run for r in known.reports] == [f"r{i}" for i in range(5, REPORTS + 5)]
    assert Response.load(known.dump()) == known


def test_answers_to_forgotten_episodes_are_forgotten_and_those_of_other_models_stay() -> None:
    shop = Shop()
    for id_ in ("ep_1", "ep_over", "ep_2"):
        shop.desk.acknowledge(id_, "anna", "late")
    plan, state = shop.watching[0]
    shop.watching = [(plan, replace(state, episodes={"ep_1": state.episodes["ep_1"]}))]  # "n" was removed

    shop.desk.forget()

    assert (
        set(shop.desk.responses) == {("m", "ep_1"), ("n", "ep_2")} == set(load_responses(shop.store.load()))
    )


def test_open_episodes_are_counted_by_whether_anybody_looks_after_them() -> None:
    plan, state = firing("m", episode("ep_1"), episode("ep_2", "y"), episode("ep_3", "z", ended=EPOCH))
    responses = {
        ("m", "ep_2"): Response(Ack("anna", "late", EPOCH)),
        ("m", "ep_3"): Response(Ack("a", "b", 1)),
    }
    assert open_episodes(plan, state, responses) == (1, 1)
    found = {s.labels: s.value for s in episode_samples(plan, state, responses)}
    assert found == {("m", "true"): 1, ("m", "false"): 1}
    assert open_episodes(plan, ModelState("m"), {}) == (0, 0)


def test_status_says_who_looks_after_an_episode() -> None:
    plan, state = firing("m", episode("ep_1"))
    known = Response(Ack("an\x1bna", "late", EPOCH), (Report("finished", "r1", "v3", EPOCH),))
    document = status([plan], {"m": state}, Outbox(), {("m", "ep_1"): known})
    (one,) = document["models"][0]["firing"]
    assert (one["acknowledged"]["why"], one["retraining"]["version"]) == ("late", "v3")
    text = as_text(document)
    assert "retraining finished: v3)" in text
    assert "\x1b" not in text
