"""How sure a mean square is that was learnt from windows which depend on each other: the block bootstrap."""

import numpy as np
from numpy.typing import NDArray

from detectors.adjustment import TINY
from detectors.seasons import DAY, Clock, Ints
from detectors.table import Floats

BLOCKS_NEEDED = 7
"""Of fewer blocks the bootstrap says too little."""


def bootstrap_dof(z: Floats, known: NDArray[np.bool_], kinds: Ints, clock: Clock, scale: int) -> Floats:
    """Return the degrees of freedom that the mean squares of the series [R, J] have by block bootstrap, [J].

    Blocks of a day, or of `scale` windows if these are longer, are drawn with replacement; what the mean
    square varies by over all draws has a closed form (that of a ratio, to the first order), so none are made.
    It sees what correlations do not: days of which few make most of the square. One column's blocks tell too
    little of that, so columns of one kind share it. Infinite where there are too few blocks.

    Examples
    --------
    Twenty days that differ from each other, all about as much, and where two of them make most of it:

    >>> rng = np.random.default_rng(1)
    >>> clock = Clock(np.arange(480) * (DAY // 24), DAY // 24)
    >>> alike, kinds = np.sign(rng.normal(size=(20, 8))), np.zeros(8, np.int64)
    >>> unlike = alike * np.where(np.arange(20) < 2, 5.0, 0.5)[:, None]
    >>> days = [np.repeat(z * rng.uniform(0.5, 1.5, z.shape), 24, axis=0) for z in (alike, unlike)]
    >>> [round(float(bootstrap_dof(z, z != 0, kinds, clock, 1)[0])) for z in days]
    [119, 4]

    References
    ----------
    Künsch, H. R. (1989). The jackknife and the bootstrap for general stationary observations.
    Annals of Statistics 17(3).

    """
    block = (clock.starts - clock.starts[0]) // max(DAY, scale * clock.length)
    firsts = np.flatnonzero(np.diff(block, prepend=-1))
    if len(firsts) < BLOCKS_NEEDED:
        return np.full(z.shape[1], np.inf)
    squares = np.add.reduceat(z * z, firsts, axis=0)
    windows = np.add.reduceat(known, firsts, axis=0, dtype=np.float64)
    total = squares.sum(axis=0)
    apart = squares / np.maximum(total, TINY) - windows / np.maximum(windows.sum(axis=0), 1.0)
    variance = (apart * apart).sum(axis=0) * len(firsts) / (len(firsts) - 1)
    found = np.full(z.shape[1], np.inf)
    for kind in np.unique(kinds):
        moving = (kinds == kind) & (total > TINY)
        if moving.any():
            found[kinds == kind] = 2.0 / max(float(variance[moving].mean()), TINY)
    return found
