"""Which columns a row has beside the known ones: the same answer however the log is cut into chunks."""

import json
import random
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.decoders.base import EVERY, HEAD
from monitor.decoders.plain import decode
from monitor.types import Chunk, Wanted

WANTED = Wanted(frozenset({"x"}), frozenset({"id"}))
PADDING = "p" * 70


def log_of(seed: int, lines: int) -> list[bytes]:
    rng = random.Random(seed)
    found = []
    for number in range(lines):
        drawn = rng.random()
        row = {"id": str(number), "x": number, "pad": PADDING, f"key{rng.randrange(6)}": 1}
        odd = {0: b"garbage", 1: b" \t", 2: b"", 3: b'{"x": NaN, "nan": 1}', 4: b"[1]"}
        found.append(odd[rng.randrange(5)] if drawn < 0.1 else json.dumps(row).encode())
    return found


LINES = log_of(7, 12_000)
STARTS = [0]
for line in LINES:
    STARTS.append(STARTS[-1] + len(line) + 1)


def columns_at(cuts: list[int]) -> dict[int, frozenset[str]]:
    """Decode the log cut before these lines; returns line offset -> the columns found there."""
    found = {}
    for first, end in pairwise([0, *sorted({*cuts} - {0, len(LINES)}), len(LINES)]):
        data = b"".join(part + b"\n" for part in LINES[first:end])
        decoded = decode(Chunk("log", STARTS[first], data), WANTED, "jsonl")
        assert decoded.shape is not None
        for row in decoded.shape.nonzero()[0].tolist():
            found[decoded.locate(row)[0]] = decoded.shapes[decoded.shape[row] - 1]
    return found


WHOLE = columns_at([])


@settings(max_examples=25)
@given(st.lists(st.integers(0, len(LINES)), max_size=12))
def test_any_cut_finds_the_same_columns_in_the_same_lines(cuts: list[int]) -> None:
    assert columns_at(cuts) == WHOLE


def test_a_few_lines_at_a_time_find_them_too() -> None:
    assert columns_at(list(range(0, len(LINES), 7))) == WHOLE


def test_the_first_lines_and_one_of_every_stretch_are_looked_at() -> None:
    good = {
        start: json.loads(line)
        for start, line in zip(STARTS, LINES, strict=False)
        if line.startswith(b'{"id"')
    }
    early = {start for start in good if start < HEAD}
    stretches = range(EVERY, STARTS[-1], EVERY)

    assert early <= set(WHOLE)
    late = {start for start in WHOLE if start >= HEAD}
    assert len(stretches) // 2 < len(late) <= len(stretches)
    assert all(WHOLE[start] == frozenset(row) for start, row in good.items() if start in WHOLE)
