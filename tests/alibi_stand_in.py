"""Stands in for the program that runs alibi-detect: the real protocol, and trouble when asked for.

What it does with a request is said by the file named in STAND_IN, or by the request's seed.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from monitor.alibi.worker import Answer, answer, serve

FILE_GIVEN = 3
MODES = ("answer", "hang", "die", "memory", "raise", "nonsense", "print", "leave")
"""By their place: the seed that asks for them."""


def mode(asked: Mapping[str, Any]) -> str:
    named = Path(sys.argv[3]) if len(sys.argv) > FILE_GIVEN else Path("nowhere")
    return named.read_text(encoding="utf-8") if named.is_file() else MODES[asked["seed"] % len(MODES)]


def trouble(asked: Mapping[str, Any], reference: np.ndarray, window: np.ndarray) -> Answer:
    match mode(asked):
        case "hang":
            time.sleep(3600)
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "leave":
            subprocess.Popen(["sleep", "20"], stdin=subprocess.DEVNULL)  # holds stderr open
            os.kill(os.getpid(), signal.SIGKILL)
        case "memory":
            np.ones(2**40)
        case "raise":
            raise RuntimeError(f"a value: {window[0, 0]}")
        case "nonsense":
            return {"pvalues": [float("nan")], "distances": [0.0]}
        case "print":
            os.write(1, b"x" * 100_000)
            os.write(2, b"y" * 1_000_000)
    width = reference.shape[1]
    moved = np.abs(window.mean(axis=0) - reference.mean(axis=0)) > 0.5
    return {"pvalues": np.where(moved, 1e-9, 0.5).tolist(), "distances": [0.25] * width}


def main() -> None:
    judges: dict[str, Callable[..., Answer]] = {"columns": trouble}
    serve(lambda: {"ready": True, "torch": ""}, lambda request: answer(request, judges))


if __name__ == "__main__":
    main()
