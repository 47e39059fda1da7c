"""Vectors that are mostly 0, held by what is not: few rows fill few of a histogram's cells."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Floats = NDArray[np.float64]
FULL = 0.5
"""With a larger share than this of numbers other than 0, all are held."""


class Sparse(Struct, frozen=True, eq=False):
    """A vector of `size` numbers: `values` at `places`, 0 elsewhere; places is None where all are held."""

    size: int
    places: NDArray[np.int32] | None
    values: Floats

    @classmethod
    def of(cls, dense: Floats) -> "Sparse":
        """Hold a vector."""
        places = np.flatnonzero(dense)
        if len(places) > FULL * len(dense):
            return cls(len(dense), None, dense)
        return cls(len(dense), places.astype(np.int32), dense[places])

    def dense(self) -> Floats:
        """Return all numbers."""
        if self.places is None:
            return self.values
        whole = np.zeros(self.size)
        whole[self.places] = self.values
        return whole

    def arrays(self, prefix: str) -> dict[str, NDArray[Any]]:
        """Name the arrays for the store; the size is told by the head."""
        found: dict[str, NDArray[Any]] = {f"{prefix}values": self.values}
        return found if self.places is None else found | {f"{prefix}places": self.places}

    @classmethod
    def load(cls, size: int, arrays: Mapping[str, NDArray[Any]], prefix: str) -> "Sparse":
        """Build it from named arrays."""
        return cls(size, arrays.get(f"{prefix}places"), arrays[f"{prefix}values"])
