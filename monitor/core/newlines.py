"""The newlines of a text file, counted by blocks of it: once, where it is read, for all who need them."""

from itertools import pairwise

import numpy as np

NEWLINE = ord("\n")
BLOCK = 2**18
"""Bytes of a block, which begins at a multiple of it in the file: they stay in the processor's cache."""


def block_places(offset: int, size: int) -> list[int]:
    """Return where blocks begin in the `size` bytes behind an offset of the file, and where these end.

    >>> block_places(2**18 - 10, 2**18)
    [0, 10, 262144]
    """
    return [0, *range(-offset % BLOCK or BLOCK, size, BLOCK), size]


def newlines_by_block(data: bytes, offset: int, size: int) -> tuple[int, ...]:
    r"""Count the newlines of each block in the first `size` bytes; offset: the file's at data[0].

    >>> newlines_by_block(b"one\ntwo\nthree", 2**18 - 4, 8)
    (1, 1)
    """
    codes = np.frombuffer(data, np.uint8)
    places = pairwise(block_places(offset, size))
    return tuple(int(np.count_nonzero(codes[start:end] == NEWLINE)) for start, end in places)
