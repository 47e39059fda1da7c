"""Profiles, grids and samples as bytes: a JSON head and the arrays behind it. Equal values, equal bytes."""

import json
import struct
from collections.abc import Mapping
from itertools import count, takewhile
from typing import Any

import numpy as np
from msgspec.structs import asdict
from numpy.typing import NDArray

from detectors.profile import CategoryGrid, EmbeddingGrid, FeatureGrid, Grid, NumericGrid, Profile
from detectors.sample import Sample

Arrays = Mapping[str, NDArray[Any]]
_DTYPES = {"<i8", "<f8", "<u8", "<i4", "<f2"}


def pack(head: Mapping[str, Any], arrays: Arrays) -> bytes:
    """Write a JSON head and named little-endian arrays."""
    listed = [[name, a.dtype.str, list(a.shape)] for name, a in arrays.items()]
    text = json.dumps({"head": head, "arrays": listed}, sort_keys=True, separators=(",", ":")).encode()
    return b"".join(
        [struct.pack("<I", len(text)), text, *(np.ascontiguousarray(a).tobytes() for a in arrays.values())]
    )


def unpack(data: bytes) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read what `pack` wrote; the arrays are read-only views."""
    (size,) = struct.unpack_from("<I", data)
    document = json.loads(data[4 : 4 + size])
    arrays, at = {}, 4 + size
    for name, dtype, shape in document["arrays"]:
        if dtype not in _DTYPES:
            raise ValueError(f"unexpected array type {dtype!r} in stored state")
        count = int(np.prod(shape, dtype=np.int64))
        arrays[name] = np.frombuffer(data, dtype, count, at).reshape(shape)
        at += count * np.dtype(dtype).itemsize
    return document["head"], arrays


def profile_arrays(profile: Profile, prefix: str = "") -> dict[str, NDArray[Any]]:
    """Name a profile's arrays."""
    found: dict[str, NDArray[Any]] = {
        f"{prefix}cells": profile.cells,
        f"{prefix}low": profile.low,
        f"{prefix}high": profile.high,
    }
    if profile.sample is not None:
        found |= sample_arrays(profile.sample, prefix)
    return found


def sample_arrays(sample: Sample, prefix: str = "") -> dict[str, NDArray[Any]]:
    """Name a sample's arrays."""
    named: dict[str, NDArray[Any]] = {
        f"{prefix}keys": sample.keys,
        f"{prefix}numeric": sample.numeric,
        f"{prefix}codes": sample.codes,
    }
    return named | {f"{prefix}vectors/{place}": v for place, v in enumerate(sample.vectors)}


def sample_of(arrays: Arrays, prefix: str = "") -> Sample | None:
    """Build a sample from named arrays; None where there is none."""
    if f"{prefix}keys" not in arrays:
        return None
    keys, numeric, codes = (arrays[f"{prefix}{part}"] for part in ("keys", "numeric", "codes"))
    vectors = takewhile(arrays.__contains__, (f"{prefix}vectors/{place}" for place in count()))
    return Sample(keys, numeric, codes, tuple(arrays[name] for name in vectors))


def profile_of(rows: int, arrays: Arrays, prefix: str = "") -> Profile:
    """Build a profile from named arrays."""
    low, high = arrays[f"{prefix}low"], arrays[f"{prefix}high"]
    return Profile(rows, arrays[f"{prefix}cells"], low, high, sample_of(arrays, prefix))


def dump_profile(profile: Profile) -> bytes:
    """Write one profile; equal profiles give equal bytes."""
    return pack({"rows": profile.rows}, profile_arrays(profile))


def load_profile(data: bytes) -> Profile:
    """Read one profile."""
    head, arrays = unpack(data)
    return profile_of(head["rows"], arrays)


def grid_head(grid: Grid) -> list[dict[str, Any]]:
    """Describe a grid as JSON."""
    every = (*grid.features, *grid.embeddings)
    return [{"kind": type(f).__name__, **asdict(f)} for f in every]


def grid_of(head: list[dict[str, Any]]) -> Grid:
    """Build a grid from its JSON."""
    found = [_feature(dict(item)) for item in head]
    embeddings = tuple(f for f in found if isinstance(f, EmbeddingGrid))
    return Grid(tuple(f for f in found if not isinstance(f, EmbeddingGrid)), embeddings)


def _feature(item: dict[str, Any]) -> FeatureGrid | EmbeddingGrid:
    kind = item.pop("kind")
    fixed: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in item.items()}
    if kind == EmbeddingGrid.__name__:
        return EmbeddingGrid(**fixed)
    return NumericGrid(**fixed) if kind == NumericGrid.__name__ else CategoryGrid(**fixed)
