"""Rows of Parquet and Arrow IPC files: already columns, so only types are settled here."""

import json

import polars as pl

from monitor.core.values import Mask, read_text
from monitor.decoders.base import numbers_of, table
from monitor.types import REJECT_TEXT, Chunk, Decoded, Wanted


def decode_frame(chunk: Chunk, frame: pl.DataFrame, wanted: Wanted) -> Decoded:
    """Take the wanted columns: numbers as Float64, text as String, the timestamp as it is stored."""
    numeric = wanted.numeric - wanted.text
    texts: list[pl.Series] = []
    failures: dict[str, Mask] = {}
    for column in frame.get_columns():
        if column.name in numeric | wanted.vectors or column.name == wanted.timestamp:
            texts.append(column)
        elif column.name in wanted.text:
            text, failed = read_text(column)
            texts.append(text)
            failures |= {} if failed is None else {column.name: failed}
    columns, invalid = numbers_of(texts, numeric)
    return Decoded(
        frame=table(columns, frame.height),
        received=frame.height,
        locate=lambda row: (chunk.offset + row, _show(frame, row)),
        columns=frozenset(frame.columns),
        invalid=invalid | failures,
    )


def _show(frame: pl.DataFrame, row: int) -> str:
    return json.dumps(frame.row(row, named=True), default=str)[:REJECT_TEXT]
