"""What all default monitors cost over the Parquet log, beside the nine distances of the first benchmark.

    python -m benchmarks.defaults [--rounds 3]

Both read the same 2,000,000 rows in turn. The defaults are quality and `shift`, whose thresholds come from
the windows of the reference; so that there are some, the reference's rows are spread over fifteen days.
Start-up over an empty log, in which the reference is learnt from, is measured too and taken off.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from statistics import median

import polars as pl

from benchmarks.daemon import DRIFTD, fresh_folder, write_config
from benchmarks.logs import HOUR, PARQUET, REFERENCE, START
from benchmarks.measure import Run, run

DAYS = 15
Edit = Callable[[Path], None]


def spread(folder: Path) -> Path:
    """Write the reference with its rows spread over the days before the log."""
    frame = pl.read_parquet(REFERENCE.path)
    length = DAYS * 24 * HOUR
    times = START - length + pl.int_range(pl.len(), dtype=pl.Int64) * (length // frame.height)
    path = folder / "reference.parquet"
    frame.with_columns(timestamp=times.cast(pl.Datetime("us"))).write_parquet(path)
    return path


def with_defaults(config: Path) -> None:
    """Leave the monitors out, and give a reference that spans windows."""
    text = config.read_text("utf-8").partition("\n[[models.monitors]]")[0]
    text = text.replace(str(REFERENCE.path), str(spread(config.parent)))
    config.write_text(text, "utf-8")


def as_it_is(config: Path) -> None:
    """Change nothing."""
    assert config.exists()


def net(edit: Edit) -> tuple[Run, float, float]:
    """Return the run over the log, and its wall and CPU seconds without those over an empty one."""
    runs = []
    for log in (PARQUET.path, "nowhere/*.parquet"):
        with fresh_folder() as folder:
            config = write_config(folder, log, ".parquet")
            edit(config)
            runs.append(run([str(DRIFTD), "run", "--config", str(config), "--once", "--flush"]))
    whole, start = runs
    if whole.code or start.code:
        raise SystemExit(whole.complaint if whole.code else start.complaint)
    return whole, whole.seconds - start.seconds, whole.cpu_seconds - start.cpu_seconds


def main() -> None:
    """Print each round, and the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    found: dict[str, list[tuple[float, float]]] = {}
    for number in range(parser.parse_args().rounds):
        for name, edit in (("nine distances", as_it_is), ("all defaults", with_defaults)):
            whole, wall, cpu = net(edit)
            found.setdefault(name, []).append((wall, cpu))
            print(
                f"round {number + 1} {name:15} wall {wall:6.2f} s, CPU {cpu:6.2f} s, {whole.peak_mb:4.0f} MB"
            )
    walls = {name: median(wall for wall, _ in times) for name, times in found.items()}
    print(f"all defaults: {walls['all defaults'] / walls['nine distances']:.2f} of the nine distances' time")


if __name__ == "__main__":
    main()
