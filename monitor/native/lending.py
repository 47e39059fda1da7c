"""Columns lent to the library: as Arrow streams, which it reads where Polars keeps them."""

import ctypes
from typing import Any

import polars as pl
from msgspec import Struct
from numpy.typing import NDArray


class Lent(Struct, frozen=True):
    """A column's stream; valid as long as this is kept, and read once."""

    capsule: object

    @classmethod
    def of(cls, column: pl.Series) -> "Lent":
        """Lend a column, part by part."""
        return cls(column.__arrow_c_stream__())

    @property
    def at(self) -> ctypes.c_void_p:
        """Where the library finds the stream."""
        address = ctypes.pythonapi.PyCapsule_GetPointer
        address.restype = ctypes.c_void_p
        return ctypes.c_void_p(
            address(ctypes.py_object(self.capsule), ctypes.c_char_p(b"arrow_array_stream"))
        )


def place_of(array: NDArray[Any]) -> ctypes.c_void_p:
    """Return where an array's values are; they must lie one behind the other."""
    return ctypes.c_void_p(array.ctypes.data)
