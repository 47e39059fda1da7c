"""The audit record of an episode: all that its verdict was computed from, sealed by a hash of it.

A record is a JSON head and named arrays, packed (codec.py) and compressed in the store, and one JSON
document outside of it. docs/explain.md says what stands in it.
"""

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from monitor.core.codec import Arrays, pack, unpack

SPACE = "audit_record"
FORMAT = 1
LEVEL = 6
SEAL_BYTES = 32
TYPES = ("<i8", "<f8")


@dataclass(frozen=True, slots=True, eq=False)
class AuditRecord:
    """What a verdict was computed from. seal: what was written with it; see `intact`."""

    head: Mapping[str, Any]
    arrays: Arrays
    seal: str

    @classmethod
    def of(cls, head: Mapping[str, Any], arrays: Arrays) -> Self:
        """Seal a record."""
        return cls(head, arrays, _sealed(head, arrays))

    @property
    def intact(self) -> bool:
        """Tell whether nothing in it has changed since it was sealed."""
        return _sealed(self.head, self.arrays) == self.seal

    def dump(self) -> bytes:
        """Write it for the store."""
        return bytes.fromhex(self.seal) + zlib.compress(pack(self.head, self.arrays), LEVEL)

    @classmethod
    def load(cls, data: bytes) -> Self:
        """Read what `dump` wrote. ValueError: it is none."""
        try:
            head, arrays = unpack(zlib.decompress(data[SEAL_BYTES:]))
        except zlib.error as error:
            raise ValueError("the record is cut or damaged") from error
        return cls(head, arrays, data[:SEAL_BYTES].hex())

    def document(self) -> dict[str, Any]:
        """Return it as one JSON document, every number exact; infinities as text."""
        arrays = {
            name: {
                "type": a.dtype.str,
                "shape": list(a.shape),
                "values": [_plain(v) for v in a.ravel().tolist()],
            }
            for name, a in self.arrays.items()
        }
        return {"seal": self.seal, "head": dict(self.head), "arrays": arrays}

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        """Read what `document` gave. ValueError: it is none."""
        try:
            head, seal = dict(document["head"]), str(document["seal"])
            arrays = {str(name): _array(item) for name, item in document["arrays"].items()}
        except (KeyError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError("it is no audit record of driftd") from error
        if head.get("format") != FORMAT:
            raise ValueError(f"its format is {head.get('format')!r}, and this driftd reads {FORMAT}")
        return cls(head, arrays, seal)


def _sealed(head: Mapping[str, Any], arrays: Arrays) -> str:
    ordered = {name: arrays[name] for name in sorted(arrays)}
    return sha256(pack(head, ordered)).hexdigest()


def _plain(number: float) -> float | str:
    return number if math.isfinite(number) else str(number)


def _array(item: Mapping[str, Any]) -> NDArray[Any]:
    if item["type"] not in TYPES:
        raise ValueError(f"unexpected array type {item['type']!r}")
    values = [float(v) if isinstance(v, str) else v for v in item["values"]]
    return np.array(values, dtype=item["type"]).reshape(item["shape"])
