"""The plain formats: JSON lines, CSV, Parquet, Arrow IPC. docs/formats.md says what becomes of odd values."""

import polars as pl

from monitor.core.schema import Schema
from monitor.core.timestamps import read_times
from monitor.decoders.columnar import decode_frame
from monitor.decoders.delimited import decode_csv
from monitor.decoders.json_lines import decode_json_lines
from monitor.fields import TimeUnit
from monitor.types import Chunk, Decoded, Micros, Wanted


def decode(chunk: Chunk, wanted: Wanted, format: str) -> Decoded:  # noqa: A002  the configuration's own word
    """Decode a chunk. Bad lines are among the rejects with their reason; nothing in the data raises.

    format: "jsonl" or "csv" for bytes; a frame needs none.
    """
    if isinstance(chunk.data, pl.DataFrame):
        return decode_frame(chunk, chunk.data, wanted)
    return (decode_csv if format == "csv" else decode_json_lines)(chunk, chunk.data, wanted)


def peek_time(schema: Schema, chunk: Chunk, format: str, units: TimeUnit) -> Micros | None:  # noqa: A002  as above
    """Return the timestamp of a chunk of one row, or None when it has no good one. Never raises."""
    name = schema.columns.timestamp
    decoded = decode(chunk, Wanted(frozenset(), frozenset([name]), name), format)
    if name not in decoded.frame.columns or not decoded.frame.height:
        return None
    time, good = read_times(decoded.frame[name], units)
    return int(time[0]) if good[0] else None
