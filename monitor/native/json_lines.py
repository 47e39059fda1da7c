"""Plain JSON lines parsed by monitor/native/json_lines.c, handed to Polars without a copy."""

import ctypes
from collections.abc import Mapping
from ctypes import c_char_p, c_int64

import polars as pl
from msgspec import Struct

from monitor.native.library import library

NUMBER, TEXT = 0, 1
MOST_BYTES = 2**31 - 1
LONGEST_NAME = 160
"""Bytes of a column's name: six times as many, which escapes may take, still fit into the library's room."""


class _Field(ctypes.Structure):
    _fields_ = (("key", c_char_p), ("size", c_int64), ("kind", c_int64))


class _Schema(ctypes.Structure):
    """ArrowSchema, of which nothing is looked at here."""

    _fields_ = (("words", c_int64 * 9),)


class _Array(ctypes.Structure):
    """ArrowArray, of which nothing is looked at here."""

    _fields_ = (("words", c_int64 * 10),)


class _Exported(Struct, frozen=True):
    """One column for the Arrow PyCapsule interface; whoever asks for it takes it."""

    schema: _Schema
    array: _Array

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]:
        """Return capsules of the two structures; the structures stay ours, what they hold goes."""
        return _capsule(self.schema, b"arrow_schema"), _capsule(self.array, b"arrow_array")


def parse(data: bytes, columns: Mapping[str, pl.DataType | type[pl.DataType]]) -> pl.DataFrame | None:
    """Return a row per line that is not blank, with these columns (Float64 or String), or None.

    None says nothing about the data: there is no library, or some line is not plain, and Polars must judge.
    data must be UTF-8.
    """
    there = library()
    kinds = [NUMBER if k == pl.Float64 else TEXT for k in columns.values() if k in {pl.Float64, pl.String}]
    count, keys = len(columns), [name.encode() for name in columns]
    if there is None or not columns or len(data) > MOST_BYTES or len(kinds) < count:
        return None
    if max(map(len, keys)) > LONGEST_NAME:
        return None
    fields = (_Field * count)(*(_Field(key, len(key), kind) for key, kind in zip(keys, kinds, strict=True)))
    arrays, schemas = (_Array * count)(), (_Schema * count)()
    read = there.driftd_json_lines
    read.restype = c_int64
    rows = read(c_char_p(data), c_int64(len(data)), fields, c_int64(count), arrays, schemas)
    if rows < 0:
        return None
    exported = (_Exported(schema, array) for schema, array in zip(schemas, arrays, strict=True))
    return pl.DataFrame({name: pl.Series(one) for name, one in zip(columns, exported, strict=True)})


def _capsule(structure: ctypes.Structure, name: bytes) -> object:
    make = ctypes.pythonapi.PyCapsule_New
    make.restype = ctypes.py_object
    return make(ctypes.byref(structure), c_char_p(name), None)
