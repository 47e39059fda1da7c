"""Each model's turn: what is not read to its end is not silent, and one in trouble stops no other."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from monitor.errors import StoreUnavailableError
from monitor.fleet import Fleet
from tests.programs import eventually


@dataclass
class Watched:
    """A model that says what was done with it."""

    name: str
    done: list[str] = field(default_factory=list)
    meanwhile: Callable[[], None] = lambda: None
    trouble: BaseException | None = None

    @property
    def worker(self) -> Any:  # noqa: ANN401 - as much of a worker as a fleet sees
        return SimpleNamespace(plan=SimpleNamespace(name=self.name), close_idle=self._close_idle)

    @property
    def sources(self) -> list[Any]:
        return []

    def drain(self, _tools: object, _stop: Callable[[], bool]) -> int:
        self.meanwhile()
        if self.trouble is not None:
            raise self.trouble
        self.done.append("read")
        return 1

    def _close_idle(self, _tools: object) -> bool:
        self.done.append("closed")
        return True


def fleet(*models: Watched) -> Fleet:
    shelves = SimpleNamespace(tidy=lambda _name: None)
    made = Fleet(SimpleNamespace(), shelves, lambda: False)  # type: ignore[arg-type]
    made.models = models  # type: ignore[assignment]
    return made


def test_silent_logs_are_closed_after_they_were_read() -> None:
    models = Watched("a"), Watched("b")
    fleet(*models).read()

    assert [m.done for m in models] == [["read", "closed"]] * 2


def test_a_model_in_trouble_is_not_silent_and_stops_no_other() -> None:
    bad, good = Watched("a", trouble=ValueError("a row")), Watched("b")
    made = fleet(bad, good)
    made.read()
    made.read()

    assert (bad.done, good.done) == ([], ["read", "closed"] * 2)
    assert made.problem == "a: stopped by ValueError"

    bad.trouble = StoreUnavailableError("the disk is full")
    made.read()
    assert made.problem == "the disk is full"
    bad.trouble = None
    made.read()
    assert (made.problem, bad.done) == ("", ["read", "closed"])


def test_a_reading_that_ended_early_is_no_silence() -> None:
    first, second = Watched("a"), Watched("b")
    made = fleet(first, second)

    def somebody_waits() -> None:
        made._waiting.append(object())  # noqa: SLF001 - as `still` does from another thread

    first.meanwhile = somebody_waits
    made.read()

    assert (first.done, second.done) == (["read"], ["read"])


def test_reading_ends_early_until_all_who_wait_have_had_their_turn() -> None:
    made, turns = fleet(), list[bool]()
    hold, held, going = (threading.Event() for _ in range(3))

    def first() -> None:
        with made.still():
            held.set()
            hold.wait(30)

    def later() -> None:
        with made.still():
            turns.append(made._interrupted())  # noqa: SLF001 - what a drain is told
            going.wait(30)

    threads = [threading.Thread(target=work) for work in (first, later, later)]
    threads[0].start()
    assert held.wait(30)
    for thread in threads[1:]:
        thread.start()
    eventually(lambda: len(made._waiting) == 2)  # noqa: SLF001 - both ask
    hold.set()
    eventually(lambda: len(turns) == 1)
    going.set()
    for thread in threads:
        thread.join(30)

    assert turns == [True, False]


def test_those_who_took_a_place_meanwhile_are_read_first() -> None:
    old, new = Watched("a"), Watched("a")
    made = fleet(old)

    def taken_over() -> None:
        made.models = (new,)  # type: ignore[assignment]

    old.meanwhile = taken_over
    made.read()
    assert (old.done, new.done) == (["read"], [])
    made.read()
    assert new.done == ["read", "closed"]
