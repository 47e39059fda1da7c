"""The tokens NaN, Infinity and -Infinity, which Python writes into JSON and no JSON parser has to read."""

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]


def quote_tokens(data: bytes) -> bytes:
    r"""Put quotes around the NaN, Infinity and -Infinity that stand as the value of a key.

    A token counts when before it come: a byte other than \ : , [ { or white space, a double quote, a colon,
    and at most one space.

    Why this never changes the text of a string: in JSON a double quote opens a string, closes one, or
    is escaped inside one. An escaped quote has a backslash before it, which is excluded. An opening quote
    comes first in the line or after one of : , [ { or white space, all excluded. So the quote closes a
    string, and a closed string with a colon after it is a key: the token is its value, outside any string.
    Why it never makes a bad line good: were the quote an opening one after all, the line would be broken
    before it already, and what stands before it is left as it is.
    """
    array = np.frombuffer(data, np.uint8)
    nans, infinities = _find(array, b"NaN"), _find(array, b"Infinity")
    if not len(nans) and not len(infinities):
        return data
    signed = infinities - (array[np.maximum(infinities - 1, 0)] == ord("-"))
    starts = np.concatenate([nans, signed])
    ends = np.concatenate([nans + len("NaN"), infinities + len("Infinity")])
    colon = starts - 1 - (array[np.maximum(starts - 1, 0)] == ord(" "))
    letter, quote, mark = (array[np.maximum(colon - back, 0)] for back in (2, 1, 0))
    value = (mark == ord(":")) & (quote == ord('"')) & ~np.isin(letter, list(b"\\:,[{ \t\r\n"))
    value &= colon > 1
    return np.insert(array, np.concatenate([starts[value], ends[value]]), ord('"')).tobytes()


def _find(array: Bytes, word: bytes) -> Ints:
    """Return where the word starts."""
    starts = np.flatnonzero(array[: max(len(array) - len(word) + 1, 0)] == word[0])
    for place, letter in enumerate(word[1:], 1):
        starts = starts[array[starts + place] == letter]
    return starts
