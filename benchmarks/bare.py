"""Polars' bare read of one file, a few times in a process of its own: the yardstick for driftd.

Run as `bare.py FILE [TIMES]`; prints the seconds of each read as one JSON list. The first read of a process
pays for fresh memory and threads, so the best one is the strictest yardstick.
"""

import json
import sys
from pathlib import Path
from time import perf_counter

import polars as pl


def read(path: Path) -> float:
    """Return the seconds that one read of the whole file takes."""
    start = perf_counter()
    frame = pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_ndjson(path)
    seconds = perf_counter() - start
    assert frame.height
    return seconds


def main() -> None:
    """Read the file named on the command line and print the times."""
    times = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    print(json.dumps([read(Path(sys.argv[1])) for _ in range(times)]))


if __name__ == "__main__":
    main()
