"""Does alibi-detect raise too many alarms where nothing changes? Writes benchmarks/ALIBI.md.

`python -m benchmarks.alibi` needs `make alibi-torch` and about twenty minutes of one core; parts that are
named (raw, judged, runs) are printed and not written.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy import stats

from benchmarks.multivariate import Part, part
from detectors.alibi import ALIBI
from detectors.joint import Asked, Comparison, Joint, Option
from detectors.table import Floats
from detectors.window_level import window_level
from monitor.alibi_asking import AlibiDetect
from monitor.alibi_table import Alibi
from monitor.clock import SystemClock

ROOT = Path(__file__).parents[1]
PYTHON = ROOT / ".envs" / "alibi-torch" / "bin" / "python"
PAGE = Path(__file__).with_name("ALIBI.md")
TITLE = """# alibi-detect where nothing changes

Made by `python -m benchmarks.alibi`; docs/alibi.md says what the detectors are.

Rows are independent: five normal columns, or two categories of three values, or three columns of 0 and 1.
"""
PAIRS, ROWS = 100, 300
REFERENCES, WINDOWS, FRESH = 2, 30, 50
LEVELS = (0.1, 0.05, 0.01)
FOLDS: Mapping[str, Option] = {"n_folds": 5}
QUICK: Mapping[str, Option] = {"n_streams": 50, "n_bootstraps": 1000, "rows": 300}
Case = tuple[str, Mapping[str, Option]]
CASES: Sequence[Case] = (
    *((name, QUICK if offer.stream else {}) for name, offer in ALIBI.items()),
    ("classifier", FOLDS),
    ("spot_the_diff", FOLDS),
)
JUDGED = [
    case for case in CASES if ALIBI[case[0]].stream or case in (("spot_the_diff", {}), ("classifier", {}))
]
"""Each kind of p-value that is nobody's textbook's."""


def calm(takes: str, rng: np.random.Generator, rows: int) -> Joint:
    """Return rows that all come from one law, as a detector takes them."""
    if takes in {"numeric", "any"}:
        return Joint(tuple("abcde"), rng.normal(size=(rows, 5)), np.zeros((rows, 0), np.int32))
    if takes == "binary":
        return Joint(
            tuple("xyz"), (rng.random((rows, 3)) < 0.3).astype(np.float64), np.zeros((rows, 0), np.int32)
        )
    codes = rng.choice(3, (rows, 2), p=[0.6, 0.3, 0.1]).astype(np.int32)
    return Joint(("x", "y"), np.zeros((rows, 0)), codes)


def pvalue(alibi: AlibiDetect, case: Case, reference: Joint, window: Joint) -> float:
    """Return what the process says of two samples."""
    found = alibi.compare(Asked(f"alibi.{case[0]}", reference, window, LEVELS[0], case[1], 1))
    if not isinstance(found, Comparison):
        raise SystemExit(f"{case[0]}: {found.note}")
    return found.pvalue


def started() -> AlibiDetect:
    """Return one that is not asked yet."""
    return AlibiDetect(Alibi(python=PYTHON), SystemClock())


def title(case: Case) -> str:
    """Name a case."""
    folds = ", 5 folds" if case[1] is FOLDS else ""
    return f"`alibi.{case[0]}`{folds}"


def shares(found: Sequence[float] | Floats) -> str:
    """Return how many p-values are below each level."""
    return " | ".join(f"{np.mean(np.asarray(found) < level):.3f}" for level in LEVELS)


def raw() -> Iterator[str]:
    """Yield how p-values of calm pairs are distributed; online detectors have none."""
    alibi = started()
    for case in CASES:
        if ALIBI[case[0]].stream:
            continue
        takes, found = ALIBI[case[0]].takes, []
        for seed in range(PAIRS):
            rng = np.random.default_rng((1, seed))
            found.append(pvalue(alibi, case, *(calm(takes, rng, ROWS) for _ in range(2))))
        yield f"| {title(case)} | {stats.kstest(found, 'uniform').pvalue:.3f} | {shares(found)} |"
    alibi.close()


def judged() -> Iterator[str]:
    """Yield how often fresh windows are below the level that the reference's own windows allow."""
    alibi = started()
    for case in JUDGED:
        takes, below = ALIBI[case[0]].takes, []
        for number in range(REFERENCES):
            rng = np.random.default_rng((2, number))
            windows = [calm(takes, rng, ROWS) for _ in range(WINDOWS)]
            whole = mixed(rng, windows)
            own = np.array([pvalue(alibi, case, whole, window) for window in windows])
            fresh = [pvalue(alibi, case, whole, calm(takes, rng, ROWS)) for _ in range(FRESH)]
            limits = [window_level(own, level, WINDOWS) for level in LEVELS]
            below.append([np.mean(np.array(fresh) < limit) for limit in limits])
        yield f"| {title(case)} | " + " | ".join(f"{share:.3f}" for share in np.mean(below, axis=0)) + " |"
    alibi.close()


def mixed(rng: np.random.Generator, windows: Sequence[Joint], rows: int = 2000) -> Joint:
    """Return a sample of all windows' rows, as a reference has it."""
    numeric = np.concatenate([window.numeric for window in windows])
    codes = np.concatenate([window.codes for window in windows])
    chosen = rng.permutation(len(numeric))[:rows]
    return Joint(windows[0].columns, numeric[chosen], codes[chosen])


def runs() -> Iterator[str]:
    """Yield how long online detectors run without drift, asked directly in their environment."""
    program = Path(__file__).with_name("alibi_runs.py")
    command = [str(PYTHON), "-I", str(program), str(ROOT / "monitor" / "alibi")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            one = json.loads(line)
            yield "| `alibi.{name}` | {ert} | {mean:.0f} | {error:.0f} | {streams} |".format(**one)
    if process.returncode:
        raise SystemExit(f"{program.name} ended with {process.returncode}")


PARTS: Mapping[str, Part] = {
    "raw": part(
        f"P-values of {PAIRS} pairs of {ROWS} and {ROWS} calm rows",
        "Uniform: the p-value of Kolmogorov and Smirnov's test. Then: how many are below a level.",
        "detector | uniform | " + " | ".join(map(str, LEVELS)),
        raw,
    ),
    "judged": part(
        f"Share of {REFERENCES * FRESH} fresh calm windows that are a breach, by the level asked for",
        f"As driftd judges: {REFERENCES} references of {WINDOWS} windows with {ROWS} rows, whose own "
        "p-values set the level (`window_level`).",
        "detector | " + " | ".join(map(str, LEVELS)),
        judged,
    ),
    "runs": part(
        "Rows until the first alarm of an online detector on calm streams",
        "`ert` is what it was told. Several references of 250 rows, and fresh streams for each.",
        "detector | ert | mean | its standard error | streams",
        runs,
    ),
}


def main() -> None:
    """Print the parts that are named; all of them make the page."""
    named = sys.argv[1:] or list(PARTS)
    lines = [TITLE]
    for name in named:
        for line in PARTS[name]():
            print(line, flush=True)
            lines.append(line)
    if named == list(PARTS):
        PAGE.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
