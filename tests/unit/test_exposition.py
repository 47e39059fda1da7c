"""/metrics as an answer: made once for all who ask, of one moment, and only as far as something changed."""

import gzip
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from msgspec.structs import replace

from exporters.catalog import Histogram
from exporters.prometheus import Writer
from exporters.rows import Part
from monitor.core.policy import Phase, Trip, TripKey
from monitor.core.state import Book, ModelState
from monitor.exposition import Exposition, Live, Moment
from monitor.outgoing import Outbox
from tests.logs import EPOCH, MINUTE, model, plan_of
from tests.monitors import features, judged

OPENMETRICS = "application/openmetrics-text;version=1.0.0"
PLANS = {name: plan_of(model(name=name, series_limit=10_000)) for name in ("m", "other")}


def state(version: int = 0, name: str = "m", count: int = 200) -> ModelState:
    """Return a state in which every number that can is `version`, and so many monitors."""
    sources = {("predictions-0", what, ""): version for what in ("received", "stored")}
    book = Book(last_closed=EPOCH, windows_closed=version, counts=sources)
    return ModelState(name, book=book, trips=features(count))


@dataclass
class Desk:
    """What an exposition looks at; tests change it by hand, and hold it while somebody looks."""

    states: tuple[ModelState, ...] = ()
    looks: int = 0
    seconds: float = 0.0
    held: threading.Event = field(default_factory=threading.Event)
    looking: threading.Event = field(default_factory=threading.Event)

    def moment(self) -> Moment:
        self.looks += 1
        live = [Live(PLANS[state.model], state, Histogram(), ()) for state in self.states]
        self.looking.set()
        self.held.wait(10)
        return Moment(live, {}, Outbox(), EPOCH + MINUTE, Histogram(), ok=True)

    def put(self, *states: ModelState) -> None:
        self.states = states


@pytest.fixture
def desk() -> Desk:
    made = Desk()
    made.held.set()
    made.put(state())
    return made


@pytest.fixture
def exposition(desk: Desk) -> Exposition:
    return Exposition(desk.moment, lambda: desk.seconds)


def text(exposition: Exposition, accept: str = "") -> str:
    return exposition.answer(accept, "").body.decode()


def test_what_is_of_now_is_not_made_again(desk: Desk, exposition: Exposition) -> None:
    first = exposition.answer("", "")
    assert exposition.answer("*/*", "identity") is first
    exposition.answer(OPENMETRICS, "gzip")
    assert desk.looks == 1

    desk.seconds += 1
    exposition.answer("", "")
    assert desk.looks == 2

    exposition.changed()
    exposition.answer("", "")
    assert desk.looks == 3


def test_a_page_that_failed_half_way_is_made_anew(
    desk: Desk, exposition: Exposition, monkeypatch: pytest.MonkeyPatch
) -> None:
    text(exposition)
    desk.put(state(7))
    exposition.changed()
    with monkeypatch.context() as patch:
        patch.setattr(Writer, "text", None)
        with pytest.raises(TypeError):
            text(exposition)
    assert 'driftd_windows_closed_total{model="m"} 7.0\n' in text(exposition)


def test_a_commit_shows_in_the_next_answer(desk: Desk, exposition: Exposition) -> None:
    assert "driftd_windows_closed_total{" in text(exposition)
    desk.put(state(7))
    exposition.changed()
    assert 'driftd_windows_closed_total{model="m"} 7.0\n' in text(exposition)


def test_the_encodings_and_formats_hold_the_same(exposition: Exposition) -> None:
    for accept, kind in (("", "text/plain"), (OPENMETRICS, "application/openmetrics-text")):
        plain, zipped = exposition.answer(accept, ""), exposition.answer(accept, "gzip")
        assert gzip.decompress(zipped.body) == plain.body
        assert zipped.headers["content-encoding"] == "gzip"
        assert "content-encoding" not in plain.headers
        assert plain.headers["content-type"].startswith(kind)
        assert plain.body.endswith(b"# EOF\n") == (accept == OPENMETRICS)
        assert len(zipped.body) < len(plain.body) / 5


def test_only_what_changed_is_put_into_words(
    desk: Desk, exposition: Exposition, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    write = Writer.text

    def counted(writer: Writer, part: Part) -> object:
        written.append(len(part.rows))
        return write(writer, part)

    monkeypatch.setattr(Writer, "text", counted)
    text(exposition)
    assert sum(written) == 200

    written.clear()
    before = desk.states[0]
    desk.put(replace(before, book=replace(before.book, windows_closed=8)))
    exposition.changed()
    assert 'driftd_windows_closed_total{model="m"} 8.0\n' in text(exposition)
    assert sum(written) == 0

    desk.put(replace(before, trips={**before.trips, TripKey("v1", "all", "f0000", "ks"): judged(0.25)}))
    exposition.changed()
    assert 'feature="f0000",model="m",segment="all",version="v1"} 0.25\n' in text(exposition)
    assert sum(written) == 200


def test_a_window_that_closed_makes_stale_what_has_no_rows(desk: Desk, exposition: Exposition) -> None:
    text(exposition)
    before = desk.states[0]
    desk.put(replace(before, book=replace(before.book, last_closed=EPOCH + 3 * MINUTE)))
    exposition.changed()
    assert "driftd_drift_score{" not in text(exposition)
    assert text(exposition).count('state="stale"} 1.0') == 200


def test_series_of_models_and_versions_that_are_gone_are_gone(desk: Desk, exposition: Exposition) -> None:
    desk.put(state(), state(name="other"))
    assert 'model="other"' in text(exposition)

    desk.put(state())
    exposition.changed()
    assert 'model="other"' not in text(exposition)

    desk.put(replace(state(), trips={TripKey("v2", "all", "x", "ks"): judged(0.5)}))
    exposition.changed()
    assert 'version="v1"' not in text(exposition)
    assert 'version="v2"' in text(exposition)


def test_an_episode_is_an_exemplar_of_its_counter(desk: Desk, exposition: Exposition) -> None:
    trip = Trip("drift", Phase.FIRING, episode="ep_0123456789abcdef", since=EPOCH, episodes=3, window=EPOCH)
    desk.put(replace(state(), trips={TripKey("v1", "all", "x", "ks"): trip}))
    at = (EPOCH + MINUTE) / 10**6
    said = f'version="v1"}} 3.0 # {{episode_id="ep_0123456789abcdef"}} 1.0 {at!r}\n'
    assert said in text(exposition, OPENMETRICS)
    assert 'version="v1"} 3.0\n' in text(exposition)


def test_samples_are_the_same_choice_as_the_page(exposition: Exposition) -> None:
    lines = [line for line in text(exposition).splitlines() if not line.startswith("#")]
    buckets = [line for line in lines if "duration" in line]
    samples = [s for s in exposition.samples() if not isinstance(s.value, Histogram)]
    assert len(samples) == len(lines) - len(buckets)


def test_fifty_who_ask_at_once_are_given_one_page_that_was_begun_after_they_asked(
    desk: Desk, exposition: Exposition
) -> None:
    desk.held.clear()
    with ThreadPoolExecutor(50) as pool:
        first = pool.submit(text, exposition)
        assert desk.looking.wait(10)
        exposition.changed()
        desk.put(state(1))  # committed while the first page was being made of what was before
        others = [pool.submit(text, exposition) for _ in range(49)]
        desk.held.set()
        pages = {other.result(10) for other in others}
    assert 'driftd_windows_closed_total{model="m"} 0.0\n' in first.result()
    assert desk.looks == 2
    (page,) = pages
    assert 'driftd_windows_closed_total{model="m"} 1.0\n' in page


def numbers(page: str) -> Iterator[float]:
    for name in (
        "driftd_windows_closed_total{",
        "driftd_events_received_total{",
        "driftd_events_stored_total{",
    ):
        yield from (float(line.rpartition(" ")[2]) for line in page.splitlines() if line.startswith(name))


def test_each_of_fifty_parallel_answers_is_of_one_moment(desk: Desk, exposition: Exposition) -> None:
    done = threading.Event()

    def commit() -> None:
        for version in range(1, 40):
            desk.put(state(version, count=10))
            exposition.changed()
        done.set()

    def scrape(number: int) -> list[str]:
        pages: list[str] = []
        while not done.is_set() or not pages:
            accept = OPENMETRICS if number % 2 else ""
            pages.append(gzip.decompress(exposition.answer(accept, "gzip").body).decode())
        return pages

    with ThreadPoolExecutor(51) as pool:
        scrapers = [pool.submit(scrape, number) for number in range(50)]
        pool.submit(commit).result(60)
        answers = [scraper.result(60) for scraper in scrapers]
    for pages in answers:
        seen = [set(numbers(page)) for page in pages]
        assert all(len(one) == 1 for one in seen)
        versions = [one.pop() for one in seen]
        assert versions == sorted(versions)
