"""The evidence of a block of windows, and how far out it may be when nothing has changed."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from detectors.adjustment import TINY
from detectors.probability import student_quantile, student_tail
from detectors.table import Floats

BEND = 6.0
"""Of the Cornish-Fisher expansion's first term."""
STEPS_SPARED = 0.3
"""Of halves of an octave: certainty this little below what was learnt is taken as the same."""
LEAST_CERTAIN = 40


class Merged(Struct, frozen=True, eq=False):
    """Blocks of windows, one ending with each window. All float64 [R, J].

    z: the deviation, of variance 1 were windows independent. precision: of the mean deviation in the
    reading's unit. rows: how many rows the block has; windows: how many windows with rows.
    """

    z: Floats
    precision: Floats
    rows: Floats
    windows: Floats

    @property
    def variance(self) -> Floats:
        """The harmonic mean of the windows' variances, [R, J]."""
        return np.asarray(self.windows / np.maximum(self.precision, TINY))


class Tail(Struct, frozen=True, eq=False):
    """How evidence at one scale is spread without a change. scale: windows; the rest float64 [J].

    square: its variance, 1 if windows were independent. dof: the degrees of freedom it was estimated with.
    heavy: 1 over those of the Student's law that has as heavy tails. lean: its skewness. top: the largest
    that the reference itself reached. variance: its windows' own, the harmonic mean. used: whether enough
    independent blocks stand behind it, 0 or 1.
    """

    scale: int
    square: Floats
    dof: Floats
    heavy: Floats
    lean: Floats
    top: Floats
    variance: Floats
    used: Floats

    def arrays(self) -> dict[str, Floats]:
        """Return everything but the scale by its name, to be stored."""
        return {name: getattr(self, name) for name in _NAMES}

    @classmethod
    def of(cls, scale: int, arrays: Mapping[str, NDArray[Any]]) -> "Tail":
        """Read what `arrays` gave."""
        return cls(scale, *(arrays[name] for name in _NAMES))

    def spread(self, merged: Merged) -> tuple[Floats, Floats]:
        """Return standard deviation and degrees of freedom of the evidence of blocks, [R, J] each.

        Only what windows differ by depends on time, the chance of the rows does not. Blocks of more rows than
        the reference's have less of the second, so more of the first, and what is known of that with the
        reference's certainty is a smaller part of the variance that it was learnt from.
        """
        variance = np.where(merged.windows > 0, merged.variance, self.variance)
        square = 1.0 + (self.square - 1.0) * self.variance / np.maximum(variance, TINY)
        part = square * variance / np.maximum(self.square * self.variance, TINY)
        return np.sqrt(square), np.minimum(part, 1.0) ** 2

    def limit(self, merged: Merged, level: Floats, skew: Floats) -> Floats:
        """Return what evidence exceeds in either direction with that probability, [R, J].

        level: [J], at most 1/2. skew: [R, J], towards the evidence, 0 or more: it bends the quantile (the
        first Cornish-Fisher term).
        """
        spread, certainty = self.spread(merged)
        at = self._quantile(certainty, level)
        top = self.top * spread / np.sqrt(self.square)
        return np.asarray(np.maximum(spread * (at + skew * (at**2 - 1.0) / BEND), top))

    def pvalue(self, merged: Merged, skew: Floats) -> Floats:
        """Return the probability of evidence as far out as z, [R, J]: what `limit` inverts, but for `top`."""
        spread, certainty = self.spread(merged)
        bend = np.maximum(skew, 1e-9) / BEND
        apart = np.abs(merged.z) / spread
        straight = (np.sqrt(1.0 + 4.0 * bend * (apart + bend)) - 1.0) / (2.0 * bend)
        dof = self._dof(2.0 ** (-0.5 * _halvings(certainty)))
        return np.asarray(np.minimum(2.0 * student_tail(dof, straight), 1.0))

    def _quantile(self, certainty: Floats, level: Floats) -> Floats:
        """Return Student's quantiles [R, J], one set per step of certainty: they are slow to compute."""
        steps = _halvings(certainty)
        found = np.empty(steps.shape)
        for step in np.unique(steps):
            at = student_quantile(self._dof(np.asarray(2.0 ** (-0.5 * step))), level / 2.0)
            found = np.where(steps == step, at, found)
        return found

    def _dof(self, certainty: Floats) -> Floats:
        return np.asarray(1.0 / (1.0 / (self.dof * certainty) + self.heavy))


_NAMES = tuple(name for name in Tail.__struct_fields__ if name != "scale")


def _halvings(certainty: Floats) -> Floats:
    """Return how often the certainty is divided by the root of 2, a whole number."""
    steps = np.ceil(-2.0 * np.log2(np.maximum(certainty, TINY)) - STEPS_SPARED)
    return np.asarray(np.clip(steps, 0.0, LEAST_CERTAIN))
