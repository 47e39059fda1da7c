"""Tools that score windows: NannyML and Evidently, each in its own environment, on the rows of one stream."""

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.detection.sampling import Column, Floats, Rowwise
from benchmarks.detection.trial import episodes
from benchmarks.environments import HERE, QUIET, Peer


@dataclass(frozen=True)
class Tool:
    """A tool, and which of its scores. own: the limit it comes with; said: a limit in words."""

    name: str
    peer: Peer
    file: str
    own: float
    said: str


NANNYML, EVIDENTLY = Peer("nannyml"), Peer("evidently")
TOOLS = (
    Tool("NannyML, drift", NANNYML, "drift", 3.0, "mean + {:.3g} sd"),
    Tool("NannyML, missing values", NANNYML, "missing", 3.0, "mean ± {:.3g} sd"),
    Tool("Evidently, drift", EVIDENTLY, "drift", 0.1, "distance {:.3g}"),
)


def scored(drawn: Rowwise, columns: Sequence[Column], peers: Sequence[Peer]) -> list[Floats]:
    """Return the scores [T - reference, features] of each tool of TOOLS that `peers` has.

    RuntimeError: a tool failed.
    """
    with TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder, drawn, columns)
        return [scores for peer in peers for scores in _judged(peer, folder)]


def _write(folder: Path, drawn: Rowwise, columns: Sequence[Column]) -> None:
    values = [np.where(column.present, column.values, np.float32(np.nan)) for column in columns]
    np.save(folder / "values.npy", np.stack(values))
    np.save(folder / "window.npy", drawn.window)
    said = {
        "reference": drawn.family.calendar.reference,
        "categories": [place for place, column in enumerate(columns) if column.category],
    }
    (folder / "stream.json").write_text(json.dumps(said), "utf-8")


def _judged(peer: Peer, folder: Path) -> Iterator[Floats]:
    command = [str(peer.python), str(HERE / "peers" / f"run_{peer.name}_stream.py"), str(folder)]
    finished = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **QUIET, "PYTHONPATH": ""}
    )
    if finished.returncode:
        raise RuntimeError(f"{peer.name} failed: {finished.stderr.strip()[-2000:]}")
    for tool in TOOLS:
        if tool.peer is peer:
            yield np.load(folder / f"{tool.file}.npy")


def quiet_limit(calm: Sequence[Floats]) -> float:
    """Return the lowest limit from which on upwards the streams [T, F] have at most one episode on average.

    Examples
    --------
    >>> calm = np.array([[1.0], [9.0], [8.0], [1.0], [1.0], [1.0], [7.0]])
    >>> 7.0 < quiet_limit([calm]) < 7.1
    True

    """
    limit = np.inf
    for limit in np.unique(np.concatenate([scores.ravel() for scores in calm]))[::-1]:
        if sum(episodes(column >= limit) for scores in calm for column in scores.T) > len(calm):
            break
    return float(np.nextafter(limit, np.inf))
