"""`make bench`: driftd beside Polars' bare reads and beside its peers, on this machine, in one go.

Makes the data and the peers' environments where they are missing, measures, and writes
benchmarks/RESULTS.md. Ratios compare runs of the same call, taken in turns.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks import live, machine
from benchmarks.daemon import Trial, start_up, whole_log
from benchmarks.environments import PEERS, SCOUTER, Measured, Peer, measure, together
from benchmarks.logs import LINES, LONG, PARQUET, REFERENCE, WIDE, Log
from benchmarks.measure import run
from benchmarks.report import render
from benchmarks.results import Pair, Results

HERE = Path(__file__).parent
CODE = ("monitor", "detectors", "exporters", "dashboards", "alert_rules")
LEFT_OUT = live.Live(reason="left out of this run")


def main() -> None:
    """Measure and write the report."""
    options = _options()
    compile_code()
    make_data((REFERENCE, PARQUET, LINES))
    before = machine.describe()
    living = LEFT_OUT if options.no_live else live_daemon()  # before gigabytes go through memory
    parquet = pair(PARQUET, options.rounds, () if options.no_peers else (SCOUTER,))
    results = Results(
        machine=before,
        call=" ".join(["benchmarks/run.py", *sys.argv[1:]]),
        pairs=(parquet, pair(LINES, options.rounds)),
        live=living,
        peers=() if options.no_peers else (together(parquet.rivals), *map(peer, PEERS)),
        long=tuple((log, alone(log)) for log in ((WIDE, LONG) if options.long else ())),
        load_after=machine.load(),
    )
    target = HERE / "RESULTS.md"
    target.write_text(render(results), "utf-8")
    say(f"wrote {target}")


def say(text: str) -> None:
    """Tell the person who waits what is going on."""
    print(text, flush=True)


def compile_code() -> None:
    """Compile driftd as an installation does: some environments forbid Python to do so at the first start."""
    done = run([sys.executable, "-m", "compileall", "-q", *(str(HERE.parent / name) for name in CODE)])
    if done.code:
        sys.exit(f"the code could not be compiled: {done.complaint}")


def make_data(logs: Iterable[Log]) -> None:
    """Make the missing logs, in a process of its own (measure.py says why)."""
    missing = [log.name + log.suffix for log in logs if not log.path.exists()]
    if missing:
        say(f"making {', '.join(missing)}")
        made = run([sys.executable, str(HERE / "data.py"), *missing])
        if made.code:
            sys.exit(f"the data could not be made: {made.complaint}")


def pair(log: Log, rounds: int, rivals: Sequence[Peer] = ()) -> Pair:
    """Measure start-up, bare read, driftd and the rivals whose ratio is a target, in turns."""
    starts, bare, trials, measured = [], [], [], []
    for i in range(rounds):
        say(f"{log.path.name}, round {i + 1} of {rounds}: start-up, bare read, driftd")
        starts.append(start_up(log.suffix))
        bare.append(bare_reads(log))
        trials.append(whole_log(log))
        seconds = trials[-1].run.seconds
        say(f"  bare {min(bare[-1]):.2f} s, driftd {seconds:.2f} s {trials[-1].problem(log.rows)}")
        measured += [peer(rival) for rival in rivals]
    return Pair(log, tuple(starts), tuple(bare), tuple(trials), tuple(measured))


def bare_reads(log: Log) -> tuple[float, ...]:
    """Return the seconds of three bare reads in a fresh process."""
    done = run([sys.executable, str(HERE / "bare.py"), str(log.path), "3"])
    if done.code:
        sys.exit(f"the bare read failed: {done.complaint}")
    return tuple(json.loads(done.output))


def alone(log: Log) -> Trial:
    """Run driftd over a log once: for its memory."""
    make_data((log,))
    say(f"{log.path.name}: driftd")
    return whole_log(log)


def live_daemon() -> live.Live:
    """Measure the living daemon."""
    say("the living daemon: starts, appended rows, idle")
    return live.measure()


def peer(chosen: Peer) -> Measured:
    """Measure one peer."""
    say(f"peer: {chosen.name}")
    return measure(chosen)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="turns of start-up, bare read and driftd")
    parser.add_argument("--long", action="store_true", help="also 20,000,000 rows, twice (6 GB of disk)")
    parser.add_argument("--no-peers", action="store_true", help="leave the other tools out")
    parser.add_argument("--no-live", action="store_true", help="leave the living daemon out")
    return parser.parse_args()


if __name__ == "__main__":
    main()
