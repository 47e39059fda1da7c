"""alibi-detect's own environments, and a process in each: started when first asked."""

import os
from functools import cache
from pathlib import Path

import pytest

from detectors.alibi import ALIBI
from monitor.alibi_asking import AlibiDetect
from monitor.alibi_table import Alibi
from monitor.clock import SystemClock

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ("alibi", "alibi-torch")


def python(name: str) -> Path:
    """Return the interpreter of an environment; without one the test is skipped, or fails in CI."""
    found = ROOT / ".envs" / name / "bin" / "python"
    if not found.exists():
        says = f"no environment {name}: make {name}"
        pytest.fail(says) if os.environ.get("DRIFTD_REQUIRE_ALIBI") else pytest.skip(says)
    return found


@cache
def process(name: str) -> AlibiDetect:
    """Return what asks in an environment."""
    return AlibiDetect(Alibi(python=python(name)), SystemClock())


def alibi_of(detector: str) -> AlibiDetect:
    """Return what asks where a detector can run."""
    return process(ENVIRONMENTS[ALIBI[detector].torch])


def close_all() -> None:
    """End the processes."""
    for name in ENVIRONMENTS:
        if (ROOT / ".envs" / name).exists():
            process(name).close()
    process.cache_clear()
