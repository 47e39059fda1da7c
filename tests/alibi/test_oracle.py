"""alibi-detect through driftd's process, and asked directly on the same arrays: the same numbers."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detectors.alibi import ALIBI
from detectors.alibi_answers import comparison
from detectors.alibi_arrays import Request, request
from detectors.joint import Asked, Comparison, Joint, Option
from monitor.alibi_asking import AlibiDetect
from monitor.alibi_frames import framed
from monitor.alibi_table import Alibi
from monitor.clock import SystemClock
from monitor.comparing import Failure
from tests.alibi.environments import close_all, process, python

SEED = 17
LEVEL = 0.05
PYTORCH = {"backend": "pytorch", "device": "cpu"}
ONE_SIDED = {"correction": "fdr", "alternative": "greater"}
TRAINED = {"epochs": 2, "learning_rate": 0.01, "batch_size": 32, "seed": SEED, **PYTORCH}
Case = tuple[str, Mapping[str, Option], Mapping[str, Any]]
"""Detector, what driftd is told, and what alibi-detect is told directly."""
CASES: Mapping[str, tuple[Case, ...]] = {
    "alibi": (
        ("ks", {}, {}),
        ("ks", ONE_SIDED, ONE_SIDED),
        ("cvm", {}, {}),
        ("chi2", {}, {}),
        ("fet", {}, {"alternative": "two-sided"}),
        ("fet", {"alternative": "less"}, {"alternative": "less"}),
        ("tabular", {}, {"categories_per_feature": {"3": None, "4": None}}),
        ("classifier", {"model": "logistic_regression"}, {"seed": SEED, "train_size": 0.75}),
        (
            "classifier",
            {"model": "logistic_regression", "n_folds": 3, "binarize_preds": True},
            {"seed": SEED, "n_folds": 3, "train_size": None, "binarize_preds": True},
        ),
    ),
    "alibi-torch": (
        ("mmd", {"n_permutations": 100}, {"n_permutations": 100, **PYTORCH}),
        ("lsdd", {"n_permutations": 100}, {"n_permutations": 100, **PYTORCH}),
        (
            "spot_the_diff",
            {"epochs": 2},
            TRAINED,
        ),
    ),
}


def joint(takes: str, shift: float) -> Joint:
    """Return 300 rows: three numbers of which the first is shifted, and two categories likewise."""
    rng = np.random.default_rng(5 + int(10 * shift))
    numeric = rng.normal([10.0, 0.0, -3.0], [2.0, 1.0, 0.1], (300, 3)) + np.array([2.0 * shift, 0.0, 0.0])
    codes = rng.choice(3, (300, 2), p=[0.5, 0.3, 0.2]).astype(np.int32)
    codes[:, 0] = np.where(rng.random(300) < shift / 2, 2, codes[:, 0])
    none, nothing = np.zeros((300, 0)), np.zeros((300, 0), np.int32)
    if takes == "numeric":
        return Joint(("a", "b", "c"), numeric, nothing)
    if takes in {"categorical", "binary"}:
        return Joint(("x", "y"), none, codes)
    return Joint(("a", "b", "c", "x", "y"), numeric, codes)


@cache
def asked(name: str) -> dict[str, tuple[Request, Mapping[str, Any]]]:
    """Return the questions of an environment, by a name of their own."""
    return {
        f"{detector}-{i}-{label}": (
            request(f"alibi.{detector}", joint(takes, 0.0), joint(takes, shift), told, SEED),
            direct,
        )
        for i, (detector, told, direct) in enumerate(CASES[name])
        for label, shift in (("calm", 0.01), ("moved", 0.8))
        for takes in (ALIBI[detector].takes,)
    }


@cache
def direct(name: str, folder: Path) -> dict[str, dict[str, list[float]]]:
    """Return what alibi-detect says, asked directly."""
    questions, kind = asked(name), {True: np.float64, False: np.float32}
    cases = [[key, q.offer.title, dict(told), SEED] for key, (q, told) in questions.items()]
    sides = {
        f"{key}.{side}": getattr(q, side).astype(kind[q.offer.by_column])
        for key, (q, _) in questions.items()
        for side in ("reference", "window")
    }
    archive = folder / f"{name}.npz"
    np.savez(archive, cases=np.frombuffer(json.dumps(cases).encode(), np.uint8), **sides)
    command = [str(python(name)), "-I", str(Path(__file__).parent / "oracle.py"), str(archive)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
    found: dict[str, dict[str, list[float]]] = json.loads(ended.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module", autouse=True)
def _ended() -> Iterator[None]:
    yield
    close_all()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("oracle")


each = pytest.mark.parametrize(("name", "key"), [(name, key) for name in CASES for key in asked(name)])


@each
def test_the_numbers_are_alibi_detects_own(name: str, key: str, folder: Path) -> None:
    theirs, (question, _) = direct(name, folder)[key], asked(name)[key]
    alibi, detector = process(name), f"alibi.{question.detector}"
    found = alibi.compare(Asked(detector, *sides(question, key), LEVEL, question.options, SEED))
    assert isinstance(found, Comparison), found
    running = alibi._process  # noqa: SLF001 - the raw answer is what is compared
    assert running is not None
    answer = running.exchange(framed(question), lambda: None)

    own = answer.get("pvalues", [answer.get("pvalue")])
    distances = answer.get("distances", [answer.get("distance", answer.get("score"))])
    assert own == pytest.approx(theirs["p_val"], rel=1e-6, abs=1e-300)
    assert distances == pytest.approx(theirs["distance"], rel=1e-5, abs=1e-9)
    assert answer.get("diffs", []) == pytest.approx(theirs.get("diffs", []), rel=1e-4, abs=1e-6)
    assert comparison(question, answer, LEVEL) == found
    if "null" not in answer:
        assert int(found.score > found.threshold) == theirs["is_drift"][0]
    assert not key.endswith("moved") or found.score > found.threshold


def sides(question: Request, key: str) -> tuple[Joint, Joint]:
    takes = question.offer.takes
    return joint(takes, 0.0), joint(takes, 0.8 if key.endswith("moved") else 0.01)


@pytest.mark.parametrize(
    ("name", "detector", "options"),
    [
        ("alibi-torch", "learned_kernel", {}),
        ("alibi-torch", "online_mmd", {"n_streams": 30}),
        ("alibi", "online_cvm", {"n_streams": 30}),
        ("alibi", "online_fet", {"n_streams": 30, "alternative": "less"}),
        ("alibi", "classifier", {"n_folds": 5}),
    ],
)
def test_it_tells_moved_rows_from_calm_ones_and_says_the_same_twice(
    name: str, detector: str, options: Mapping[str, Option]
) -> None:
    usual, takes = joint(ALIBI[detector].takes, 0.0), ALIBI[detector].takes
    calm, moved, again = [
        process(name).compare(Asked(f"alibi.{detector}", usual, joint(takes, shift), 1e-3, options, SEED))
        for shift in (0.01, 0.8, 0.8)
    ]

    assert isinstance(calm, Comparison), calm
    assert isinstance(moved, Comparison), moved
    assert calm.pvalue > 1e-3
    assert moved.pvalue < 1e-3
    assert moved.score > moved.threshold
    assert again == moved


@pytest.mark.parametrize(
    ("name", "detector"),
    [
        *(("alibi", one) for one in ("ks", "cvm", "tabular", "classifier")),
        *(("alibi-torch", one) for one in ("mmd", "lsdd", "spot_the_diff", "learned_kernel")),
    ],
)
def test_an_embedding_that_turns_is_found_and_a_calm_one_is_not(name: str, detector: str) -> None:
    usual, calm, turned = (embedded(seed, turn) for seed, turn in ((1, 0.0), (2, 0.0), (3, 0.5)))
    found = [
        process(name).compare(Asked(f"alibi.{detector}", usual, w, 1e-4, {}, SEED)) for w in (calm, turned)
    ]

    assert [isinstance(one, Comparison) and one.pvalue < 1e-4 for one in found] == [False, True]


def embedded(seed: int, turn: float) -> Joint:
    """Return 400 vectors of 48 numbers about a direction, which is turned towards another axis."""
    rng = np.random.default_rng(seed)
    rows = 0.3 * rng.normal(size=(400, 48)) + np.eye(48)[0] + turn * np.eye(48)[1]
    return Joint.of_vectors("text", rows.astype(np.float16))


def test_fisher_online_is_configured_although_some_seeds_fail() -> None:
    alibi, kind = process("alibi"), joint("binary", 0.0)
    for seed in range(4):  # as many references, so as many seeds
        usual = Joint(kind.columns, kind.numeric[seed:], kind.codes[seed:])
        options: Mapping[str, Option] = {"n_bootstraps": 200, "n_streams": 30, "ert": 20, "rows": 100}
        assert isinstance(
            alibi.compare(Asked("alibi.online_fet", usual, kind, 1e-3, options, seed)), Comparison
        )


def test_the_real_one_is_killed_at_work_and_comes_back() -> None:
    alibi = process("alibi")
    rng = np.random.default_rng(1)
    side = Joint(("a", "b"), rng.normal(size=(2000, 2)), np.zeros((2000, 0), np.int32))
    slow: Mapping[str, Option] = {"rows": 2000, "n_streams": 1000}
    assert isinstance(alibi.compare(Asked("alibi.ks", side, side, 1e-3, {}, 1)), Comparison)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(alibi.compare, Asked("alibi.online_cvm", side, side, 1e-3, slow, 1))
        time.sleep(1.0)
        assert alibi.pid is not None
        os.kill(alibi.pid, signal.SIGKILL)
        failure = waiting.result()

    assert isinstance(failure, Failure)
    assert failure.reason == "died"
    assert isinstance(alibi.compare(Asked("alibi.ks", side, side, 1e-3, {}, 1)), Comparison)
    assert alibi.starts >= 2


def test_too_little_memory_is_said_by_the_real_one_too() -> None:
    table = Alibi.model_validate({"python": python("alibi"), "memory": "512MiB"})
    alibi = AlibiDetect(table, SystemClock())
    rng = np.random.default_rng(1)
    side = Joint(("a", "b"), rng.normal(size=(4000, 2)), np.zeros((4000, 0), np.int32))
    failure = alibi.compare(Asked("alibi.online_cvm", side, side, 1e-3, {"rows": 4000}, 1))
    alibi.close()

    assert isinstance(failure, Failure)
    assert failure.reason == "memory"
