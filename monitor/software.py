"""Which releases compute: named in audit records, so that a number can be computed again by the same."""

import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version

COMPUTES = ("driftd", "numpy", "scipy", "polars", "river", "scikit-learn")


@cache
def software() -> Mapping[str, str]:
    """Return the versions of all that has a part in a verdict.

    >>> sorted(software())
    ['driftd', 'numpy', 'polars', 'python', 'river', 'scikit-learn', 'scipy']
    """
    return {"python": platform.python_version(), **{name: version(name) for name in COMPUTES}}
