"""One simulated stream as a peer gets it, and the scores it hands back.

Called as `PEER.py FOLDER`: the folder has `values.npy` [columns, rows] with NaN for what is missing,
`window.npy` [rows] and `stream.json`; the answers are `NAME.npy` [watched windows, columns]. The scores of
all columns are on one scale, and one at or above a limit is an alarm. NumPy only: this file runs in each
peer's environment.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Stream:
    """The rows. columns: numbers, or strings and None; window: of each row; reference: its windows.

    categories: the names of the columns that are strings.
    """

    folder: Path
    columns: dict[str, NDArray[Any]]
    window: NDArray[np.int64]
    reference: int
    categories: list[str]

    @property
    def names(self) -> list[str]:
        """All columns."""
        return list(self.columns)

    @property
    def watched(self) -> int:
        """How many windows come after the reference."""
        return int(self.window[-1]) + 1 - self.reference

    def bounds(self) -> NDArray[np.int64]:
        """Return the first row of each watched window, and the end of the last."""
        return np.searchsorted(self.window, self.reference + np.arange(self.watched + 1))


def read() -> Stream:
    """Return the stream of the folder that the command line names."""
    folder = Path(sys.argv[1])
    said = json.loads((folder / "stream.json").read_text("utf-8"))
    columns = {f"f{place:02d}": values for place, values in enumerate(np.load(folder / "values.npy"))}
    categories = [f"f{place:02d}" for place in said["categories"]]
    for name in categories:
        codes = columns[name]
        labels = np.array(["c0", "c1", "c2", "c3", "c4", None], object)
        columns[name] = labels[np.where(np.isnan(codes), 5, codes).astype(int)]
    window = np.load(folder / "window.npy")
    return Stream(folder, columns, window, said["reference"], categories)


def answer(stream: Stream, scores: ArrayLike, name: str) -> None:
    """Hand back finite scores [watched windows, columns]."""
    found = np.asarray(scores, np.float64)
    assert found.shape == (stream.watched, len(stream.columns))
    assert np.isfinite(found).all()
    np.save(stream.folder / f"{name}.npy", found)
