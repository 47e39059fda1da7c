"""driftd as a program: its configuration for a log, and its measured run over the whole of it."""

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.logs import CATEGORICAL, NUMERIC, REFERENCE, Log
from benchmarks.measure import Run, run

DRIFTD = Path(__file__).parent.parent / ".venv" / "bin" / "driftd"
DISTANCES = (
    "psi", "js", "ks", "chi2", "hellinger",
    "total_variation", "l_infinity", "wasserstein", "cramer_von_mises",
)  # fmt: skip
FORMATS = {".parquet": "parquet", ".jsonl": "jsonl"}
STORED = re.compile(r"^driftd_events_stored_total(?:\{.*\})? (\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of driftd over a log, and its committed state's metrics afterwards."""

    run: Run
    metrics: Run

    @property
    def stored(self) -> int:
        """How many rows the committed state holds."""
        return stored_rows(self.metrics.output)

    def problem(self, rows: int) -> str:
        """Say why this run does not count, if it does not."""
        if self.run.code:
            return self.run.complaint
        if self.metrics.code:
            return f"driftd metrics: {self.metrics.complaint}"
        return "" if self.stored == rows else f"{self.stored:,} rows stored instead of {rows:,}"


@contextmanager
def fresh_folder() -> Iterator[Path]:
    """Give an empty folder on the same disk as the logs, gone afterwards."""
    base = REFERENCE.path.parent
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=base))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def write_config(folder: Path, log: Path | str, suffix: str, listen: str = "127.0.0.1:0") -> Path:
    """Write a configuration with every distance on every feature and on the score; return its path."""
    listed = {kind: ", ".join(f'"{name}"' for name in names) for kind, names in _features().items()}
    monitors = "".join(
        f'\n[[models.monitors]]\ndetector = "{name}"\non = "{on}"\n'
        for name in DISTANCES
        for on in ("features", "score")
    )
    text = f"""
[daemon]
state = "{folder / "state"}"
listen = "{listen}"

[[models]]
name = "bench"
task = "binary"
window = "1h"
lateness = "5m"

[models.columns]
prediction_id = "prediction_id"
timestamp = "timestamp"
score = "score"
label = "label"

[models.features]
numeric = [{listed["numeric"]}]
categorical = [{listed["categorical"]}]

[models.reference]
path = "{REFERENCE.path}"

[[models.sources]]
role = "predictions"
type = "files"
path = "{log}"
format = "{FORMATS[suffix]}"
{monitors}"""
    config = folder / "config.toml"
    config.write_text(text, "utf-8")
    return config


def _features() -> dict[str, tuple[str, ...]]:
    return {"numeric": NUMERIC, "categorical": CATEGORICAL}


def start_up(suffix: str) -> Run:
    """Run over an empty log: imports, configuration, reference, first commit, no rows."""
    with fresh_folder() as folder:
        (folder / "empty").mkdir()
        config = write_config(folder, folder / "empty" / f"*{suffix}", suffix)
        return run([str(DRIFTD), "run", "--config", str(config), "--once", "--flush"])


def whole_log(log: Log) -> Trial:
    """Run over the whole log from a fresh state, and ask the committed state how many rows it holds."""
    with fresh_folder() as folder:
        config = write_config(folder, log.path, log.suffix)
        done = run([str(DRIFTD), "run", "--config", str(config), "--once", "--flush"])
        metrics = run([str(DRIFTD), "metrics", "--config", str(config)])
    return Trial(done, metrics)


def stored_rows(metrics: str) -> int:
    """Sum driftd_events_stored_total over its label sets."""
    return sum(int(float(value)) for value in STORED.findall(metrics))
