"""Detectors of streams side by side: rows until a change is found, false alarms, cost. One run, one table.

Run as `.venv/bin/python -m benchmarks.detection.streams`; it writes benchmarks/detection/STREAMS.md and takes
about a quarter of an hour on one core, most of them for kswin. Every seed is in this file.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import process_time

import numpy as np
import polars as pl
from scipy import special

from detectors.bets import Plan
from detectors.e_sr import ESR
from detectors.mean_bound import Moments, moments_of
from detectors.measure import Floats
from detectors.river_rules import RIVER
from detectors.streaming import Stream

HERE = Path(__file__).parent
DATA = HERE.parents[2] / "shared" / "data"
CALM, CALM_ROWS, LONGEST, CHUNK = 0.1, 10_000, 12_000, 1_000
RATES, SHIFTS = (0.15, 0.2, 0.3), (0.1, 0.25, 0.5)
REFERENCES = (10_000, 50_000, 100_000, 1_000_000)

Make = Callable[[np.random.Generator], Stream]


Draw = Callable[[np.random.Generator, int, float], Floats]


@dataclass(frozen=True, slots=True)
class Contender:
    """A stream to try: made per seed, since the reference is drawn too. seeds: how many."""

    name: str
    make: Make
    seeds: int


@dataclass(frozen=True, slots=True)
class Found:
    """Over the seeds: alarms in all calm rows, and per change the rows until found (NaN: not in LONGEST)."""

    contender: Contender
    calm_alarms: int
    delays: Mapping[float, Floats]


@dataclass(frozen=True, slots=True)
class Incident:
    """A real log's errors (0 or 1): the reference's rows come first, the errors rise at `change`."""

    name: str
    errors: Floats
    reference: int
    change: int


def on_errors() -> Iterator[Contender]:
    """Yield what is compared on errors: e_sr with four sizes of reference, and river's rules as they come."""
    for n in REFERENCES:
        for arl, seeds in ((1e6, 2000), (1e4, 500)):
            yield Contender(f"e_sr, ARL {arl:.0e}, reference of {n:,}", _e_sr(n, arl), seeds)
    yield from map(_as_it_comes, RIVER)


def on_numbers() -> Iterator[Contender]:
    """Yield what is compared on numbers: e_sr of a rise, and of both sides."""
    for side in ("up", "both"):
        plan = Plan(arl=1e6, side=side)
        reference = Moments(50_000, 25_000.0, 50_000 / 3)
        yield Contender(f"e_sr, ARL 1e+06, {side}", lambda _, r=reference, p=plan: ESR(r, p), 500)  # type: ignore[misc]
    yield from map(_as_it_comes, ("adwin", "page_hinkley", "kswin"))


def _as_it_comes(name: str) -> Contender:
    return Contender(name, lambda _: RIVER[name](), 10 if name == "kswin" else 200)


def _e_sr(n: int, arl: float) -> Make:
    def make(rng: np.random.Generator) -> Stream:
        wrong = float(rng.binomial(n, CALM))
        return ESR(Moments(n, wrong, wrong), Plan(arl=arl))

    return make


def errors(rng: np.random.Generator, rows: int, rate: float) -> Floats:
    """Return independent errors, 0 or 1."""
    return (rng.random(rows) < rate).astype(np.float64)


def numbers(rng: np.random.Generator, rows: int, shift: float) -> Floats:
    """Return normal numbers, moved by so many standard deviations, as their place in those not moved."""
    return np.asarray(special.ndtr(rng.normal(shift, size=rows)))


def tried(contender: Contender, draw: Draw, calm: float, changes: Sequence[float]) -> Found:
    """Let it see calm rows and then each change, from the same state."""
    alarms, delays = 0, {change: np.full(contender.seeds, np.nan) for change in changes}
    for seed in range(contender.seeds):
        rng = np.random.default_rng([seed, 1])
        stream = contender.make(np.random.default_rng([seed, 2]))
        alarms += len(stream.feed(draw(rng, CALM_ROWS, calm)).rows)
        state = stream.dump()
        for change in changes:
            assert stream.load(state) == ""
            rows = draw(np.random.default_rng([seed, 3]), LONGEST, change)
            delays[change][seed] = rows_until(stream, rows)
    return Found(contender, alarms, delays)


def rows_until(stream: Stream, rows: Floats) -> float:
    """Return after how many of the rows it alarms first, NaN when it does not."""
    start = stream.rows
    for chunk in np.split(rows, range(CHUNK, len(rows), CHUNK)):
        alarms = stream.feed(chunk).rows
        if len(alarms):
            return float(alarms[0] - start + 1)
    return float("nan")


def incidents() -> Iterator[Incident]:
    """Yield the real logs."""
    car = pl.read_parquet(DATA / "car_loan" / "car_loan_synthetic.parquet")
    card = pl.read_parquet(DATA / "credit_card" / "credit_card_multiclass_synthetic.parquet")
    yield Incident("car_loan", _wrong(car, "repaid"), 50_000, 75_000)
    yield Incident("credit_card", _wrong(card, "y_true"), 60_000, 90_000)


def _wrong(log: pl.DataFrame, label: str) -> Floats:
    return (log["y_pred"] != log[label]).cast(pl.Float64).to_numpy()


def on_incident(incident: Incident, make: Callable[[Moments], Stream]) -> str:
    """Return how it does: rows until found, and alarms before the change (after the reference)."""
    stream = make(moments_of(incident.errors[: incident.reference]))
    alarms = stream.feed(incident.errors[incident.reference :]).rows + incident.reference
    late = alarms[alarms >= incident.change]
    delay = f"{late[0] - incident.change + 1:,}" if len(late) else "not found"
    return f"{delay} | {len(alarms) - len(late)}"


def average_run_lengths() -> Iterator[str]:
    """Yield measured rows per alarm on calm rows, where the promise is 10,000 or more."""
    rows, arl = 20_000_000, 1e4
    for n in (50_000, 1_000_000, 10**9):
        stream = ESR(Moments(n, CALM * n, CALM * n), Plan(arl=arl))
        rng = np.random.default_rng(9)
        alarms = sum(len(stream.feed(errors(rng, 1_000_000, CALM)).rows) for _ in range(rows // 1_000_000))
        yield f"| {n:,} | {rows:,} | {alarms:,} | {rows / max(alarms, 1):,.0f} |"


def cost(make: Callable[[], Stream], rows: Floats) -> float:
    """Return nanoseconds of one core per row, the best of three."""
    found = []
    for _ in range(3):
        stream, began = make(), process_time()
        stream.feed(rows)
        found.append(process_time() - began)
    return min(found) / len(rows) * 1e9


def costs() -> Iterator[str]:
    """Yield the cost of each, on calm rows in one chunk."""
    wrong, places = errors(np.random.default_rng(1), 100_000, CALM), np.random.default_rng(2).random(100_000)
    tenth, uniform = Moments(50_000, 5_000.0, 5_000.0), Moments(50_000, 25_000.0, 50_000 / 3)
    for block in (1, 2, 8, 32):
        of_errors = cost(lambda block=block: ESR(tenth, Plan(block=block)), wrong)  # type: ignore[misc]
        of_numbers = cost(lambda block=block: ESR(uniform, Plan(block=block)), places)  # type: ignore[misc]
        yield f"| e_sr, block {block} | {of_errors:,.0f} | {of_numbers:,.0f} |"
    for name, make in RIVER.items():
        rows = wrong[:2_000] if name == "kswin" else wrong
        yield f"| {name} | {cost(make, rows):,.0f} | |"


def row(found: Found) -> str:
    """Return a line of the first table."""
    calm = found.calm_alarms / found.contender.seeds
    cells = [found.contender.name, f"{found.contender.seeds:,}", f"{calm:.4f}"]
    for delays in found.delays.values():
        seen = delays[~np.isnan(delays)]
        missed = f" ({1 - len(seen) / len(delays):.0%} missed)" if len(seen) < len(delays) else ""
        found_in = f"{seen.mean():,.0f} ± {seen.std() / len(seen) ** 0.5:.0f}" if len(seen) else "not found"
        cells.append(found_in + missed)
    return f"| {' | '.join(cells)} |"


def told(lines: Iterable[str]) -> Iterator[str]:
    """Show each line to the person who waits."""
    for line in lines:
        print(line, flush=True)
        yield line


def main() -> None:
    """Measure and write the report."""
    lines = list(told(row(tried(c, errors, CALM, RATES)) for c in on_errors()))
    moved = list(told(row(tried(c, numbers, 0.0, SHIFTS)) for c in on_numbers()))
    logs = list(incidents())
    real = {f"e_sr, ARL {arl:.0e}": lambda m, arl=arl: ESR(m, Plan(arl=arl)) for arl in (1e5, 1e6)}
    real |= {name: lambda _, make=make: make() for name, make in RIVER.items()}
    on_logs = [f"| {n} | {' | '.join(on_incident(log, make) for log in logs)} |" for n, make in real.items()]
    text = (HERE / "streams_template.md").read_text("utf-8")
    for name, part in (
        ("delays", lines),
        ("numbers", moved),
        ("incidents", on_logs),
        ("run_lengths", average_run_lengths()),
        ("costs", costs()),
    ):
        text = text.replace(f"{{{name}}}", "\n".join(part))
    (HERE / "STREAMS.md").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
