"""What the decoders share: the lines of a chunk, and the way from text columns to a decoded chunk."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from monitor.core.newlines import BLOCK, NEWLINE, block_places, newlines_by_block
from monitor.core.reasons import Reason
from monitor.core.values import Mask, read_numbers
from monitor.types import REJECT_TEXT, Decoded, Reject

Ints = NDArray[np.int64]

BLANK = b" \t\r"
EVERY = BLOCK
"""Of each so many bytes of a file one line is looked at closely, ..."""
HEAD = 2**16
"""... and all lines that start in the first so many."""


class Lines(Struct, frozen=True, dict=True):
    """The lines of a chunk that are not blank. Where they lie is found on first use.

    A blank line is empty or has only spaces, tabs and carriage returns. `offset` is the file's at data[0].
    newlines: as in Chunk.
    """

    file: str
    offset: int
    data: bytes
    newlines: tuple[int, ...] = ()

    @cached_property
    def codes(self) -> NDArray[np.uint8]:
        """The data as an array of bytes."""
        return np.frombuffer(self.data, np.uint8)

    @cached_property
    def spans(self) -> tuple[Ints, Ints]:
        """Where each line starts, and where its newline (or the end of the data) is."""
        if not self.data:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        ends = np.flatnonzero(self.codes == NEWLINE)
        if not self.data.endswith(b"\n"):
            ends = np.append(ends, len(self.data))
        starts = np.concatenate([[0], ends[:-1] + 1]).astype(np.int64)
        filled = ends > starts
        for line in np.flatnonzero(
            filled & np.isin(self.codes[np.minimum(starts, len(self.data) - 1)], list(BLANK))
        ):
            filled[line] = bool(self.data[starts[line] : ends[line]].strip(BLANK))
        return starts[filled], ends[filled]

    def __len__(self) -> int:
        return len(self.spans[0])

    def are(self, count: int) -> bool:
        """Tell whether there are `count` lines; cheap when none is blank."""
        return self.are_solid(count) or len(self) == count

    def are_solid(self, count: int) -> bool:
        """Tell whether there are `count` lines and no blank one."""
        return self._steps[1][-1] + (not self.data.endswith(b"\n")) == count

    def samples(self) -> Iterator[tuple[int, int, bytes]]:
        """Yield some lines, blank ones counted: number, place, text. The same ones however a file is cut.

        They are the lines that start in the file's first HEAD bytes, and those that hold a byte at a
        multiple of EVERY.
        """
        head = self.codes[: max(HEAD - self.offset, 0)]
        starts = [0, *(np.flatnonzero(head == NEWLINE) + 1).tolist()] if len(head) else []
        places = [(number, at) for number, at in enumerate(starts) if at < len(head)]
        for at, number in zip(*self._steps, strict=True):
            if at < len(self.data) and at >= len(head) and (self.offset + at) % EVERY == 0:
                places.append((number, at))
        for number, at in places:
            start, end = self.data.rfind(b"\n", 0, at) + 1, self.data.find(b"\n", at)
            yield number, start, self.data[start : end if end >= 0 else len(self.data)]

    def offset_of(self, line: int) -> int:
        """Return the line's offset in the file."""
        return self.offset + int(self.spans[0][line])

    def raw(self, line: int) -> bytes:
        """Return the line without its end."""
        start, end = self.spans[0][line], self.spans[1][line]
        return self.data[start:end].removesuffix(b"\r")

    def text(self, line: int) -> str:
        """Return the start of the line, as kept with a reject."""
        return self.raw(line)[:REJECT_TEXT].decode(errors="replace")

    def reject(self, line: int, reason: Reason) -> Reject:
        """Return the line as a reject."""
        return Reject(self.file, self.offset_of(line), reason, self.text(line))

    def join(self, chosen: Ints) -> bytes:
        """Return the chosen lines (ascending) as bytes, without what lies between them."""
        if not len(chosen):
            return b""
        starts, ends = self.spans[0][chosen], self.spans[1][chosen]
        breaks = np.flatnonzero(starts[1:] != ends[:-1] + 1)
        firsts, lasts = starts[np.append(0, breaks + 1)], ends[np.append(breaks, len(chosen) - 1)]
        return b"\n".join(self.data[a:b] for a, b in zip(firsts.tolist(), lasts.tolist(), strict=True))

    def count(self, places: Ints) -> Ints:
        """Return how many of the places (ascending, in the data) lie in each line."""
        starts, ends = self.spans
        return np.searchsorted(places, ends) - np.searchsorted(places, starts)

    def holding(self, places: Ints) -> Ints:
        """Return the line that each of the places lies in."""
        return np.searchsorted(self.spans[0], places, side="right") - 1

    @cached_property
    def _steps(self) -> tuple[list[int], list[int]]:
        """Places in the data from its start to its end, and the newlines before each of them."""
        steps = self.newlines or newlines_by_block(self.data, self.offset, len(self.data))
        return block_places(self.offset, len(self.data)), list(accumulate(steps, initial=0))


class Located(Struct, frozen=True):
    """Finds a row of the frame among the lines, when some lines were rejected."""

    lines: Lines
    good: Ints | None

    def __call__(self, row: int) -> tuple[int, str]:
        """Return the row's offset in the file and the start of its text."""
        line = row if self.good is None else int(self.good[row])
        return self.lines.offset_of(line), self.lines.text(line)


def is_utf8(data: bytes) -> bool:
    """Tell whether the bytes are UTF-8."""
    try:
        return data.isascii() or bool(str(data, "utf-8"))
    except UnicodeDecodeError:
        return False


def good_lines(lines: Lines, bad: Collection[int]) -> Ints:
    """Return the numbers of the lines that are not bad."""
    kept = np.ones(len(lines), np.bool_)
    kept[list(bad)] = False
    return np.flatnonzero(kept)


def assemble(
    lines: Lines,
    frame: pl.DataFrame,
    numeric: Collection[str],
    seen: Collection[str],
    bad: Mapping[int, Reason],
) -> Decoded:
    """Turn a parsed frame, one row per line that is not bad, into a decoded chunk.

    numeric: the columns that become Float64 here. seen: the names that surely occur in the data; a wanted
    column occurs as well when it has a value.
    """
    height = frame.height
    present = [c for c in frame.get_columns() if c.name in seen or c.null_count() < height]
    columns, invalid = numbers_of(present, numeric)
    return Decoded(
        frame=table(columns, height),
        received=height + len(bad),
        locate=Located(lines, good_lines(lines, bad) if bad else None),
        columns=frozenset(seen) | {c.name for c in present},
        rejects=tuple(lines.reject(line, bad[line]) for line in sorted(bad)),
        invalid=invalid,
    )


def table(columns: Sequence[pl.Series], height: int) -> pl.DataFrame:
    """Return the columns as a frame that keeps its height when there is none."""
    return pl.DataFrame(columns) if columns else pl.DataFrame(height=height)


def numbers_of(
    columns: Sequence[pl.Series], numeric: Collection[str]
) -> tuple[list[pl.Series], dict[str, Mask]]:
    """Return the columns with the numeric ones as Float64, and where their type failed (never: shared)."""
    out: list[pl.Series] = []
    invalid: dict[str, Mask] = {}
    nowhere = np.zeros(len(columns[0]) if columns else 0, np.bool_)
    for column in columns:
        if column.name not in numeric:
            out.append(column)
            continue
        numbers, failed = read_numbers(column)
        out.append(numbers)
        invalid[column.name] = nowhere if failed is None else failed
    return out, invalid
