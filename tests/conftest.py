"""What every test can ask for: the real data, the installed programs; and how hypothesis runs."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest
import structlog
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.native import NATIVE, NUMPY, counted_by

ROOT = Path(__file__).parents[1]

# read when scikit-learn is first imported; its threads only wait
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


LONGEST_FIRST = ("tests/recovery/", "tests/laws/", "tests/golden/", "tests/acceptance/")
TOGETHER = frozenset(
    f"tests/{folder}/test_{name}.py"
    for folder, names in {
        "acceptance": ("backtest", "dashboards", "native_memory", "prometheus", "wheel"),
        "golden": ("car_loan", "performance", "streams_golden"),
        "unit": ("explaining", "joint_ranks", "record_rows"),
    }.items()
    for name in names
)
"""Modules with a dear fixture: one worker has all of their tests, else each would make the fixture."""


class Dealt(LoadScopeScheduling):  # type: ignore[misc] # xdist ships no types
    """Deals tests out one by one, but for those that belong together, which come first."""

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        return module if module in TOGETHER else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Say how tests are dealt out to workers (`-n`)."""
    return Dealt(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long tests, in random order within a folder: none is left to one worker at the end."""

    def place(item: pytest.Item) -> int:
        starts = (i for i, folder in enumerate(LONGEST_FIRST) if item.nodeid.startswith(folder))
        return next(starts, len(LONGEST_FIRST))

    items.sort(key=place)


@pytest.fixture(autouse=True)
def _logs() -> None:
    """Undo what a command within an earlier test or fixture set up: its log went to a stderr that is gone."""
    structlog.reset_defaults()


@pytest.fixture(scope="module", params=[NATIVE, NUMPY])
def kernels(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run a module's tests with the native library and without it: pytest.mark.usefixtures("kernels")."""
    with counted_by(request.param):
        yield request.param


@pytest.fixture(scope="session")
def data() -> Path:
    """Return the folder with the real data, beside the project."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.fail(f"the tests need the real data in {folder}; put the shared folder beside the project")
    return folder


@pytest.fixture(scope="session")
def car_loans(data: Path) -> pl.DataFrame:
    """Return 100,000 predictions and what became of them; the first half is what normal looks like."""
    return pl.read_parquet(data / "car_loan" / "car_loan_synthetic.parquet")


@pytest.fixture(scope="session")
def loans(car_loans: pl.DataFrame) -> pl.DataFrame:
    """Return the car loans with the columns `score` and `label`."""
    return car_loans.drop("period").rename({"repaid": "label", "y_pred_proba": "score"})


@pytest.fixture(scope="session")
def program() -> Callable[[str], str]:
    """Find a program's path; without it the test is skipped, or fails where DRIFTD_REQUIRE_PROGRAMS=1."""

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None and os.environ.get("DRIFTD_REQUIRE_PROGRAMS") == "1":
            pytest.fail(f"{name} is not installed, and DRIFTD_REQUIRE_PROGRAMS=1 allows no skip")
        if path is None:
            pytest.skip(f"{name} is not installed")
        return path

    return find
