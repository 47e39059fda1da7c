"""Rows of a sample as multivariate detectors take them."""

from collections.abc import Sequence

from detectors.joint import Joint
from detectors.profile import Grid
from detectors.sample import Sample


def joint(grid: Grid, names: Sequence[str], sample: Sample) -> Joint:
    """Take columns by name out of a sample on a grid, the numeric ones first; or an embedding's vectors."""
    for place, embedding in enumerate(grid.embeddings):
        if embedding.name in names:
            return Joint.of_vectors(embedding.name, sample.vectors[place])
    numeric = [(i, f.name) for i, f in enumerate(grid.numeric) if f.name in names]
    codes = [(i, f.name) for i, f in enumerate(grid.categorical) if f.name in names]
    columns = tuple(name for _, name in (*numeric, *codes))
    return Joint.of(columns, sample, [i for i, _ in numeric], [i for i, _ in codes])
