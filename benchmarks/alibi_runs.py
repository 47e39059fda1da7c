"""How long alibi-detect's online detectors run on calm streams; run in its environment. Nothing of driftd.

Argument: the folder of driftd's judges, which configure the detectors. Prints a JSON object for each.
"""

import json
import sys
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

ERT, SIZE, BOOTSTRAPS = 100, 20, 1000
REFERENCES, STREAMS, ROWS = 4, 50, 250
Rows = NDArray[Any]
LONGEST = 10 * ERT
DETECTORS = {"online_cvm": "CVMDriftOnline", "online_fet": "FETDriftOnline", "online_mmd": "MMDDriftOnline"}


def calm(name: str, rng: np.random.Generator, rows: int) -> Rows:
    """Return rows that all come from one law."""
    if name == "online_fet":
        return (rng.random((rows, 3)) < 0.3) * 1.0
    return rng.normal(size=(rows, 5)).astype(np.float32 if name == "online_mmd" else np.float64)


def options(name: str) -> dict[str, Any]:
    """Return what driftd hands to its judge of a stream."""
    found = {"ert": ERT, "window_size": SIZE, "n_bootstraps": BOOTSTRAPS, "rows": ROWS, "n_streams": 0}
    if name == "online_mmd":
        return {**found, "sigma": 0.0}
    return {**found, "alternative": "greater", "lam": 0.99} if name == "online_fet" else found


def length(detector: Any, rows: Rows) -> int:  # noqa: ANN401 - alibi-detect has no types
    """Return how many rows it takes until the first alarm, or all there are."""
    detector.reset_state()
    for place, row in enumerate(rows):
        if detector.predict(row)["data"]["is_drift"]:
            return place + 1
    return len(rows)


def main() -> None:
    """Print how long each runs."""
    sys.path.insert(0, sys.argv[1])
    judges: Any = import_module("judges")
    for name, made in DETECTORS.items():
        asked = {"title": made, "options": options(name)}
        means = []
        for number in range(REFERENCES):
            rng = np.random.default_rng((3, number))
            detector = judges._online(asked, calm(name, rng, ROWS), number)  # noqa: SLF001 - as driftd does
            means.append(np.mean([length(detector, calm(name, rng, LONGEST)) for _ in range(STREAMS)]))
        error = np.std(means, ddof=1) / np.sqrt(REFERENCES)
        found = {"name": name, "ert": ERT, "mean": float(np.mean(means)), "error": float(error)}
        print(json.dumps({**found, "streams": REFERENCES * STREAMS}), flush=True)


if __name__ == "__main__":
    main()
