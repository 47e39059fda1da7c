"""What Grafana is told of episodes: one annotation for each, however often and in what order it is sent."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from detectors.base import Level, Verdict
from exporters.annotations import Annotator
from exporters.base import Delivered, Delivery, Notification, Reason, Refused, Retry
from exporters.grafana import Grafana
from monitor.config import Model, Reference, Source
from monitor.core.annotations import notes, still_open, tags, text, untold_ends
from monitor.core.episode_log import followed
from monitor.core.outbox import Note
from monitor.core.plan import Plan
from monitor.core.policy import Phase, Transition, Trip, TripKey
from monitor.core.policy import Reason as Why
from monitor.core.state import Book, ModelState
from tests.grafana_api import TAGS_BYTES, TOKEN, GrafanaApi, length_of

NOW = datetime(2030, 1, 1, tzinfo=UTC)
DAY = 86_400 * 10**6
KEY = TripKey("v1", "all", "age", "psi")
PLAN = Plan.of(
    Model(
        name="m",
        reference=Reference(first=timedelta(days=30)),
        sources=(Source(role="predictions", type="files", path="x.jsonl"),),
    )
)
BREACH = Verdict("psi", "age", "drift", Level.BREACH, 500, 0.5, 0.2)


def trip(day: int, last: int | None = None, episode: str = "ep_1") -> Trip:
    """Return a trip that fires since a day, with rows up to another one."""
    return Trip(
        "drift", Phase.FIRING, episode=episode, since=day * DAY, window=(last or day) * DAY, verdict=BREACH
    )


def state(closed: int, **trips: Trip) -> ModelState:
    """Return a state after this day's window; trips: by feature."""
    found = {KEY._replace(feature=feature): one for feature, one in trips.items()}
    return ModelState("m", book=Book(last_closed=closed * DAY), trips=found)


def change(day: int, *, begins: bool, episode: str = "ep_1") -> Transition:
    phases = (
        (Phase.INACTIVE, Phase.FIRING, Why.ENTERED) if begins else (Phase.FIRING, Phase.INACTIVE, Why.CALM)
    )
    return Transition("m", KEY, "drift", *phases, episode, day * DAY, (day + 1) * DAY, BREACH)


def told(found: tuple[Note, ...]) -> list[tuple[str, int, int | None]]:
    """Return each note's episode, begin and end, in days."""
    bodies = [json.loads(note.body) for note in found]
    day = DAY // 1000
    return [(b["episode"], b["time"] // day, b["timeEnd"] and b["timeEnd"] // day) for b in bodies]


def test_an_episode_is_told_when_it_begins_and_when_it_ends() -> None:
    calm = state(8)
    assert told(notes(PLAN, state(2), state(3, age=trip(3)), [change(3, begins=True)])) == [("ep_1", 3, None)]
    assert notes(PLAN, state(3, age=trip(3)), state(4, age=trip(3, 4)), []) == ()
    assert told(notes(PLAN, state(7, age=trip(3, 7)), calm, [change(8, begins=False)])) == [("ep_1", 3, 9)]


def test_many_windows_in_one_commit_tell_each_episode() -> None:
    changes = [
        change(3, begins=True),
        change(5, begins=False),
        change(7, begins=True, episode="ep_2"),
    ]
    after = state(8, age=trip(7, 8, "ep_2"))

    assert told(notes(PLAN, state(2), after, changes)) == [
        ("ep_1", 3, None),
        ("ep_1", 3, 6),
        ("ep_2", 7, None),
    ]


def test_what_has_no_rows_for_long_is_over_once_and_again_when_it_ends_later() -> None:
    firing, stale = state(5, age=trip(3, 4)), state(7, age=trip(3, 4))

    assert told(notes(PLAN, firing, stale, [])) == [("ep_1", 3, 5)]
    assert notes(PLAN, stale, state(8, age=trip(3, 4)), []) == ()
    assert notes(PLAN, stale, state(8, age=trip(3, 8)), []) == ()
    assert told(notes(PLAN, stale, state(12), [change(11, begins=False)])) == [("ep_1", 3, 12)]


def test_what_is_forgotten_is_over_with_its_last_window() -> None:
    assert told(notes(PLAN, state(5, age=trip(3, 4)), state(6), [])) == [("ep_1", 3, 5)]
    back = state(9, age=trip(9, episode="ep_2"))
    again = notes(PLAN, state(5, age=trip(3, 4)), back, [change(9, begins=True, episode="ep_2")])
    assert told(again) == [("ep_1", 3, 9), ("ep_2", 9, None)]


def test_the_same_commit_gives_the_same_notes() -> None:
    one, other = (notes(PLAN, state(2), state(3, age=trip(3)), [change(3, begins=True)]) for _ in range(2))

    assert one == other
    assert one[0].id.isascii()
    assert list(still_open(PLAN, state(3, age=trip(3)))) == list(one)
    assert list(still_open(PLAN, state(9, age=trip(3)))) == []


def test_only_ends_that_nobody_told_are_made_up_for() -> None:
    def nobody(_: str) -> ModelState:
        raise AssertionError("every model is watched")

    begins = notes(PLAN, state(2), state(3, age=trip(3)), [change(3, begins=True)])
    goes_on = replace(state(5, age=trip(3, 5)), episodes=followed({}, {}, [change(3, begins=True)]))
    ended = followed(goes_on.episodes, {}, [change(8, begins=False)])
    calm = replace(state(9), episodes=ended)

    assert list(untold_ends(begins, {"m": (PLAN, goes_on)}, nobody)) == []
    (end,) = untold_ends(begins, {"m": (PLAN, calm)}, nobody)
    assert end == notes(PLAN, state(7, age=trip(3, 7)), state(8), [change(8, begins=False)])[0]
    assert list(untold_ends([*begins, end], {"m": (PLAN, calm)}, nobody)) == []
    assert list(untold_ends(begins, {"m": (PLAN, state(9))}, nobody)) == []  # the episode is forgotten
    assert told(tuple(untold_ends(begins, {}, lambda _: calm))) == [("ep_1", 3, 9)]


@given(st.text(max_size=200), st.text(max_size=200), st.text(max_size=200), st.text(max_size=200))
def test_tags_are_what_grafana_takes(version: str, segment: str, feature: str, detector: str) -> None:
    key = TripKey(version, segment, feature, detector)
    found = tags("m" * 64, key, "estimated_performance", "ep_0123456789abcdef")

    assert length_of(found) <= TAGS_BYTES
    assert f"model:{'m' * 64}" in found


def test_the_text_is_safe_as_html() -> None:
    found = text("m", TripKey("", "a<b", "<script>x</script>", "psi"), "drift", (0, DAY))

    assert "<" not in found
    assert found.startswith("drift: &lt;script&gt;x")
    assert found.endswith("fires, from 1970-01-01 00:00 UTC, until 1970-01-02 00:00 UTC")


@pytest.fixture
def api() -> Iterator[GrafanaApi]:
    with GrafanaApi() as found:
        yield found
        assert found.broken == []


def note(end: int | None, episode: str) -> Note:
    """Return the note of an episode's begin, or of its end on a day."""
    begins = change(3, begins=True, episode=episode)
    if end is None:
        return notes(PLAN, state(2), state(3, age=trip(3, episode=episode)), [begins])[0]
    before = state(3, age=trip(3, episode=episode))
    return notes(PLAN, before, state(end), [change(end - 1, begins=False, episode=episode)])[0]


class Sender:
    """An annotator and what it told."""

    def __init__(self, api: GrafanaApi, seconds: float = 30.0) -> None:
        self.said: list[str] = []
        self.annotator = Annotator(Grafana(api.url, lambda: TOKEN, seconds), self.said.append)
        self.now = NOW

    def send(self, end: int | None, episode: str = "ep_1", after: float = 10.0) -> Delivery:
        self.now += timedelta(seconds=after)
        sent = Notification("note_x", "http://somewhere", note(end, episode).body.encode(), 0)
        return self.annotator.send(sent, self.now)


@pytest.mark.parametrize("order", [(None, 9), (9, None), (None, None, 9, 9), (9,), (None, 7, 9, 7)])
def test_whatever_comes_first_there_is_one_annotation_with_its_end(
    api: GrafanaApi, order: tuple[int | None, ...]
) -> None:
    sender = Sender(api)
    assert {type(sender.send(end)) for end in order} == {Delivered}

    (found,) = api.annotations.values()
    assert (found["time"], found["timeEnd"]) == (3 * DAY // 1000, 9 * DAY // 1000)
    assert "episode:ep_1" in found["tags"]
    assert (
        found["text"]
        == "drift: age (psi) of m v1 fires, from 1970-01-04 00:00 UTC, until 1970-01-10 00:00 UTC"
    )
    assert sender.said == []


def test_an_annotation_whose_answer_was_lost_is_found_again(api: GrafanaApi) -> None:
    sender = Sender(api)
    sender.send(None)
    api.annotations[2] = {**api.annotations[1], "id": 2, "tags": ["driftd", "episode:ep_2"]}

    sender.send(None)
    sender.send(9)

    assert len(api.annotations) == 2
    assert api.annotations[2]["timeEnd"] == 3 * DAY // 1000


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, Refused(Reason.CLIENT_ERROR)),
        (401, Retry(Reason.CLIENT_ERROR)),
        (403, Retry(Reason.CLIENT_ERROR)),
        (404, Retry(Reason.CLIENT_ERROR)),
        (412, Retry(Reason.CLIENT_ERROR)),
        (429, Retry(Reason.THROTTLED)),
        (500, Retry(Reason.SERVER_ERROR)),
        (302, Retry(Reason.REDIRECT)),
        (200, Retry(Reason.PROTOCOL)),
    ],
)
def test_each_answer_has_its_outcome_told_once(api: GrafanaApi, status: int, expected: Delivery) -> None:
    api.failing[("POST", "/annotations")] = (status, b"no json" if status == 200 else {"message": "no"})
    sender = Sender(api)

    assert [sender.send(None) for _ in range(3)] == [expected] * 3
    assert len(sender.said) == 1
    assert sender.said[0].startswith("Grafana, the annotation of ep_1: ")
    api.failing.clear()
    assert isinstance(sender.send(None), Delivered)


def test_a_grafana_that_hangs_is_waited_for_once_not_by_each_note(api: GrafanaApi) -> None:
    api.failing[("GET", "/annotations")] = gate = threading.Event()
    sender = Sender(api, seconds=0.2)

    found = [sender.send(None, f"ep_{i}", after=0.001) for i in range(200)]

    assert found == [Retry(Reason.TIMEOUT)] * 200
    assert sender.said == ["Grafana, the annotation of ep_0: no answer in time; try again later"]
    gate.set()
    api.failing.clear()
    assert isinstance(sender.send(None, after=5), Delivered)
