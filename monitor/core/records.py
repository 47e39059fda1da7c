"""The audit record of an episode: all that its verdict was computed from, sealed by a hash of it.

A record is a JSON head and named arrays, packed (codec.py) and compressed in the store, and one JSON
document outside of it. Rows are in neither: they are files of their own (row_files.py), which the head names
by their hashes. docs/explain.md says what stands in it.
"""

import math
import zlib
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, Self

import numpy as np
from msgspec import Struct, field
from msgspec.structs import replace
from numpy.typing import NDArray

from monitor.core.codec import Arrays, pack, unpack

SPACE = "audit_record"
FORMAT = 1
LEVEL = 6
SEAL_BYTES = 32
TYPES = ("<i8", "<f8")
Files = Mapping[str, bytes]


class NotAgainError(ValueError):
    """A score is not computed again; the text says why."""


class Evidence(Struct, frozen=True):
    """What one kind of verdict adds to a record. how: names who can compute it again; see recomputing.py.

    files: what is kept outside of the record, by name.
    """

    how: str
    head: dict[str, Any]
    arrays: dict[str, NDArray[Any]]
    files: Files = field(default_factory=dict)


class AuditRecord(Struct, frozen=True, eq=False):
    """What a verdict was computed from. seal: what was written with it; see `intact`.

    files: those of the head's `files` that are at hand, by name.
    """

    head: Mapping[str, Any]
    arrays: Arrays
    seal: str
    files: Files = field(default_factory=dict)

    @classmethod
    def of(cls, head: Mapping[str, Any], arrays: Arrays, files: Files | None = None) -> Self:
        """Seal a record, and the hashes of what belongs to it."""
        kept = files or {}
        listed = {"files": {n: [sha256(data).hexdigest(), len(data)] for n, data in kept.items()}}
        whole = {**head, **(listed if kept else {})}
        return cls(whole, arrays, _sealed(whole, arrays), kept)

    @property
    def intact(self) -> bool:
        """Tell whether nothing in it has changed since it was sealed, nor in the files at hand."""
        same = all(self.hashes.get(n, ("",))[0] == sha256(data).hexdigest() for n, data in self.files.items())
        return same and _sealed(self.head, self.arrays) == self.seal

    @property
    def hashes(self) -> Mapping[str, tuple[str, int]]:
        """Return SHA-256 and size of each file that belongs to it."""
        return {name: (str(hash_), int(size)) for name, (hash_, size) in self.head.get("files", {}).items()}

    def with_files(self, find: Callable[[str], bytes | None]) -> Self:
        """Return it with the files that are found, by hash."""
        found = {name: find(hash_) for name, (hash_, _) in self.hashes.items()}
        return replace(self, files={name: data for name, data in found.items() if data is not None})

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
    whole = item["type"] == TYPES[0]
    if not all(type(v) is int if whole else type(v) in {int, float} for v in values):
        raise ValueError("a number of another type than the array's")
    array = np.array(values, dtype=item["type"]).reshape(item["shape"])
    if list(array.shape) != item["shape"]:  # as where a -1 stands for what is left
        raise ValueError("an array of another shape than written")
    return array
