"""Does the budget hold with multivariate monitors beside the defaults? Writes MULTIVARIATE.md beside this.

`python -m benchmarks.detection.multivariate [--monitors NAME ...] [--schedule CRON] [--seeds N]
[--first SEED] [--only NAME ...] [--kept FILE] [--to FILE]`, about half a minute of one core for each seed of
a family. What is measured is kept in multivariate.jsonl, a line a seed: stopped, it goes on where it was.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from benchmarks.detection.families import FAMILIES, NAMED, WATCHED_DAYS, Family
from benchmarks.detection.sampling import Column, Rowwise, rowwise
from detectors.calibration import Calibrator
from monitor.backtest import Replay, Wishes, backtest
from monitor.clock import ManualClock
from monitor.config import Columns, Config, Daemon, Model, Monitor, Reference, Source
from monitor.core.heavy import heavy_names
from monitor.core.heavy_null import HeavyNull
from monitor.core.judging import BudgetJudge
from monitor.heavy_opening import heavy_of

HERE = Path(__file__).parent
SEEDS, FIRST_SEED = 3, 1000
MONITORS, SCHEDULE = ("mmd", "pca_reconstruction"), "0 3 * * *"
MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
AFTERWARDS = datetime(2027, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Setting:
    """What is measured. monitors: the heavy detectors beside the defaults; schedule: theirs, "" for none."""

    family: str
    seed: int
    monitors: tuple[str, ...]
    schedule: str


@dataclass(frozen=True)
class Seen:
    """What one seed showed. episodes: by detector, all false.

    alarmed: which share of the time watched each heavy monitor was in an alarm. levels: how small a p-value
    has to be for each of them to be news, 0 where they do not judge. learnt: how many of the reference's runs
    that was learnt from.
    """

    setting: Setting
    episodes: dict[str, int]
    alarmed: dict[str, float]
    levels: dict[str, float]
    learnt: int
    seconds: float


def main() -> None:
    """Measure what is not kept yet, saying each, and write the page of all that is kept."""
    options = _options()
    kept = Path(options.kept)
    known = {seen.setting for seen in read(kept)}
    wanted = [f.name for f in FAMILIES if not options.only or f.name in options.only]
    wanted += [name for name in options.only if name in NAMED and name not in wanted]
    for seed in range(options.first, options.first + options.seeds):
        for name in wanted:
            setting = Setting(name, seed, tuple(options.monitors), options.schedule)
            if setting not in known:
                keep(kept, trial(setting))
    Path(options.to).write_text(page(list(read(kept))), "utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.detection.multivariate")
    parser.add_argument("--monitors", nargs="+", default=MONITORS, choices=sorted(heavy_names()))
    parser.add_argument("--schedule", default=SCHEDULE, help='of these monitors; "" for every window')
    parser.add_argument("--seeds", type=int, default=SEEDS, help="of each family")
    parser.add_argument("--first", type=int, default=FIRST_SEED, help="the first seed")
    parser.add_argument("--only", nargs="*", default=[], help="names of families")
    parser.add_argument("--kept", default=str(HERE / "multivariate.jsonl"))
    parser.add_argument("--to", default=str(HERE / "MULTIVARIATE.md"))
    return parser.parse_args()


def keep(path: Path, seen: Seen) -> None:
    """Add a line, and show it."""
    line = json.dumps(asdict(seen))
    print(line, flush=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")


def read(path: Path) -> Iterator[Seen]:
    """Yield what was kept."""
    for line in path.read_text("utf-8").splitlines() if path.exists() else ():
        found = json.loads(line)
        setting = found.pop("setting")
        yield Seen(Setting(**{**setting, "monitors": tuple(setting["monitors"])}), **found)


def trial(setting: Setting) -> Seen:
    """Let driftd read one seed's rows, the calm features alone, as `driftd backtest` does."""
    began = time.process_time()
    with TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, NAMED[setting.family], setting.seed)
        config = configured(folder, setting)
        (replay,) = backtest(config, Wishes(), ManualClock(AFTERWARDS), lambda _: None)
    episodes = Counter(episode.key.detector for episode in replay.episodes)
    alarmed = {name: in_alarm(replay, name) for name in setting.monitors}
    pvalues = [len(found) for null in replay.state.heavy_nulls.values() for found in null.pvalues.values()]
    seconds = round(time.process_time() - began, 1)
    return Seen(setting, dict(episodes), alarmed, levels(replay), max(pvalues, default=0), seconds)


def write(folder: Path, family: Family, seed: int) -> None:
    """Write the reference and the log: the same rows as those of the other tables."""
    drawn = rowwise(family, seed)
    columns = [next(drawn.columns) for _ in range(family.features)]
    frame = pl.DataFrame({"id": np.arange(len(drawn.window)), "at": times(drawn)}).with_columns(
        *(shown(place, column) for place, column in enumerate(columns))
    )
    edge = int(np.searchsorted(drawn.window, family.calendar.reference))
    frame.head(edge).write_parquet(folder / "reference.parquet")
    frame.slice(edge).write_parquet(folder / "log.parquet")


def times(drawn: Rowwise) -> pl.Series:
    """Return when each row came: evenly within its window."""
    length = timedelta(days=1) / drawn.family.calendar.per_day // timedelta(microseconds=1)
    place = np.arange(len(drawn.window)) - np.repeat(np.cumsum(drawn.rows) - drawn.rows, drawn.rows)
    since = drawn.window * length + place * length // drawn.rows[drawn.window]
    return pl.Series(int(MONDAY.timestamp()) * 10**6 + since).cast(pl.Datetime("us", "UTC"))


def shown(place: int, column: Column) -> pl.Series:
    """Return a column as a log has it: missing values are null, categories words."""
    values = pl.Series(f"f{place}", column.values)
    if column.category:
        values = pl.Series(f"c{place}", column.values.astype(np.int64)).cast(pl.String)
    return values.zip_with(pl.Series(column.present), pl.Series(values.name, [None], values.dtype))


def configured(folder: Path, setting: Setting) -> Config:
    """Return the defaults with these monitors beside them."""
    heavy = [Monitor(detector=name, schedule=setting.schedule or None) for name in setting.monitors]
    log = Source(role="predictions", type="files", path=str(folder / "log.parquet"), format="parquet")
    model = Model(
        name="simulated",
        window=timedelta(days=1) / NAMED[setting.family].calendar.per_day,
        columns=Columns(prediction_id="id", timestamp="at"),
        reference=Reference(path=folder / "reference.parquet"),
        sources=(log,),
        monitors=(Monitor(detector="quality"), Monitor(detector="shift"), *heavy),
    )
    return Config(daemon=Daemon(state=folder / "state"), models=(model,))


def levels(replay: Replay) -> dict[str, float]:
    """Return how small a p-value has to be for each heavy monitor to breach in a whole run."""
    heavy = heavy_of(replay.plan, BudgetJudge(replay.plan, Calibrator()).level)
    (baseline,) = replay.state.baselines
    null = replay.state.heavy_nulls.get(baseline.number, HeavyNull(baseline.number))
    day = timedelta(days=1) // timedelta(microseconds=1)
    return {
        spec.detector: null.strictness(spec.id, spec.line, heavy.level(spec, baseline.grid, 1), day)[0].level
        for spec in heavy.specs
    }


def in_alarm(replay: Replay, detector: str) -> float:
    """Return which share of the time watched a detector was in an alarm."""
    last = replay.last or 0
    mine = [e for e in replay.episodes if e.key.detector == detector]
    time = sum((last if e.ended is None else e.ended) - e.started for e in mine)
    return round(timedelta(microseconds=time) / timedelta(days=WATCHED_DAYS), 4)


def page(every: Sequence[Seen]) -> str:
    """Return the page: a table for each choice of monitors and schedule."""
    text = (HERE / "multivariate_template.md").read_text("utf-8")
    for monitors, schedule in dict.fromkeys((s.setting.monitors, s.setting.schedule) for s in every):
        mine = [s for s in every if (s.setting.monitors, s.setting.schedule) == (monitors, schedule)]
        text += "\n".join(["", *table(monitors, schedule, mine), ""])
    return text


def table(monitors: Sequence[str], schedule: str, mine: Sequence[Seen]) -> Iterator[str]:
    """Yield the lines of one table."""
    heads = ["family", "seeds", "false episodes, mean", "at most one in", "most", "of the defaults"]
    heads += [part for name in monitors for part in (f"of `{name}`", "in alarm", "news below p =")]
    heads += ["runs learnt from"]
    yield f"## {' and '.join(monitors)}, {schedule or 'every window'}"
    yield ""
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for family in NAMED:
        found = [seen for seen in mine if seen.setting.family == family]
        if found:
            yield row(family, monitors, found)


def row(family: str, monitors: Sequence[str], found: Sequence[Seen]) -> str:
    """Return a family's row."""
    every = [sum(seen.episodes.values()) for seen in found]
    heavy = [sum(seen.episodes.get(name, 0) for name in monitors) for seen in found]
    few = 100 * sum(count <= 1 for count in every) / len(every)
    cells = [family, str(len(found)), f"{np.mean(every):.2f}", f"{few:.0f} %", str(max(every))]
    cells.append(f"{np.mean(every) - np.mean(heavy):.2f}")
    for name in monitors:
        cells.append(mean(seen.episodes.get(name, 0) for seen in found))
        cells.append(f"{100 * np.mean([seen.alarmed[name] for seen in found]):.0f} %")
        cells.append(news([seen.levels[name] for seen in found if name in seen.levels]))
    return f"| {' | '.join([*cells, str(min(seen.learnt for seen in found))])} |"


def news(levels: Sequence[float]) -> str:
    """Return the median level, and in how many seeds a monitor does not judge."""
    judged = [level for level in levels if level]
    mute = f"not judged in {len(levels) - len(judged)}"
    said = [f"{np.median(judged):.0e}"] if judged else []
    return ", ".join([*said, mute] if len(judged) < len(levels) else said)


def mean(counts: Iterable[int]) -> str:
    """Return the mean of some counts."""
    return f"{np.mean(list(counts)):.2f}"


if __name__ == "__main__":
    main()
