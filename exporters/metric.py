"""What one exported metric is."""

from typing import Literal

from msgspec import Struct

Kind = Literal["gauge", "counter", "histogram", "info"]
GROUP = ("model", "version", "segment")


class Metric(Struct, frozen=True):
    """One metric. unit: base unit, or "" for a plain number; counters are named with _total.

    of_process: it begins at 0 with every start of the daemon; other counters are kept in the state.
    """

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    unit: str = ""
    of_process: bool = False
