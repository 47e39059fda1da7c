"""Rows that come again, from an unsure client or from two shippers, change nothing but their own count."""

import random
import re
from pathlib import Path

import pytest

from tests.programs import Project
from tests.seconds import config, lines, made

pytestmark = pytest.mark.acceptance

LINES = lines(0, 9_000)


def project(folder: Path) -> Project:
    folder.mkdir()
    return made(folder, config(lateness="2h"))


def but_for_counts(project: Project) -> str:
    """Return the metrics less the counts of what was received, and the configuration's hash."""
    return re.sub(r'config="\w+"|driftd_events_(received|duplicate).*', "", project.metrics())


def test_resent_shuffled_and_shipped_twice_it_is_counted_once(tmp_path: Path) -> None:
    calm, resent = project(tmp_path / "calm"), project(tmp_path / "resent")
    calm.append("a.jsonl", b"".join(LINES))
    calm.once("--flush")

    rng = random.Random(3)
    for first in range(0, len(LINES), 1_500):
        batch = LINES[first : first + 1_500]
        for name in ("a.jsonl", "a.jsonl", "other-shipper.jsonl"):
            rng.shuffle(batch)
            resent.append(name, b"".join(batch))
        resent.once()
    resent.once("--flush")

    events = resent.status()["models"][0]["events"]
    assert events == {
        "received": 3 * len(LINES),
        "stored": len(LINES),
        "rejected": 0,
        "duplicate": 2 * len(LINES),
        "late": 0,
        "dropped": 0,
    }
    assert but_for_counts(resent) == but_for_counts(calm)
