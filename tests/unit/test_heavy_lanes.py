"""Two lanes of one model: what one commits costs the other nothing, and only what is committed is counted."""

from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec.structs import replace

from detectors.joint import Asked, Comparison
from monitor.comparing import Failure
from monitor.core.heavy import ALIBI, POOL
from monitor.core.heavy_null import TRIES
from monitor.heavy_lanes import HeavyLanes
from monitor.store.memory import MemoryStore
from tests.lives import Cut, Process
from tests.logs import mean_judge
from tests.unit.test_heavy_troubles import BAD, GONE, LEARNT, PER_MINUTE, Detectors, apart, log, made, trip_of


def nothing() -> None:
    """Nothing happens meanwhile."""


@dataclass
class Meanwhile(Detectors):
    """Detectors during whose comparisons something else happens."""

    happens: Callable[[], None] = field(default=nothing)

    def compare(self, asked: Asked) -> Comparison | Failure:
        self.happens()
        return super().compare(asked)


def done(lanes: HeavyLanes) -> dict[str, object]:
    """Return how many samples were judged or learnt from, by lane."""
    return {s.labels[-1]: s.value for s in lanes.samples() if s.name == "driftd_heavy_done_total"}


def test_a_lane_learns_while_the_other_one_fails_at_each_window() -> None:
    pool, alibi, rows = Meanwhile(), Detectors({"alibi.mmd": "absent"}), log(LEARNT + 30)
    heavy = HeavyLanes(pool.clock, {POOL: pool, ALIBI: alibi})
    found = Process(made(BAD, GONE), MemoryStore(), mean_judge(), heavy=heavy)
    look, rest = apart(found), iter(range(LEARNT + 4, LEARNT + 30))

    def a_window_closes() -> None:
        found.run(Cut(rows[: next(rest, LEARNT + 30) * PER_MINUTE], ()), flush=False)
        look(ALIBI)

    found.run(Cut(rows[: (LEARNT + 3) * PER_MINUTE], ()), flush=False)
    pool.happens = a_window_closes
    look(POOL)

    (null,) = found.worker.state.heavy_nulls.values()
    failed, judged = alibi.lessons["alibi.mmd"], trip_of(found.worker.state, GONE)[1]
    assert failed > LEARNT
    assert [len(known) for known in null.pvalues.values()] == [LEARNT]
    assert [trouble.failures for trouble in null.troubles.values()] == [TRIES - 1 + failed]
    assert pool.lessons["mmd"] == LEARNT
    assert done(heavy) == {"pool": len(pool.told), "alibi": failed + judged}


def test_what_is_found_of_a_sample_that_is_another_now_is_neither_kept_nor_counted() -> None:
    detectors = Meanwhile()
    heavy = HeavyLanes(detectors.clock, {POOL: detectors, ALIBI: detectors})
    found = Process(made(BAD), MemoryStore(), mean_judge(), heavy=heavy)
    look = apart(found)

    def other_samples_are_taken() -> None:
        detectors.happens = nothing
        state = found.worker.state
        (null,) = state.heavy_nulls.values()
        others = replace(null, waiting={at: replace(job) for at, job in null.waiting.items()})
        found.worker.state = replace(state, heavy_nulls={null.number: others})

    found.run(Cut(log(LEARNT + 3), ()), flush=False)
    detectors.happens = other_samples_are_taken
    look(POOL)

    (null,) = found.worker.state.heavy_nulls.values()
    judged = len(detectors.told) - detectors.lessons["mmd"]
    assert [len(known) for known in null.pvalues.values()] == [LEARNT]
    assert detectors.lessons["mmd"] == LEARNT + 1
    assert done(heavy) == {"pool": LEARNT + judged}
