"""What the process that runs alibi-detect is sent, and what it sends back. Its side is alibi/worker.py."""

import json
from collections.abc import Mapping
from io import BytesIO

import numpy as np

from detectors.alibi import Offer
from detectors.alibi_arrays import Request
from monitor.alibi.worker import LENGTH


def judge(offer: Offer) -> str:
    """Return which of the program's judges a detector is for.

    >>> from detectors.alibi import ALIBI
    >>> judge(ALIBI["ks"]), judge(ALIBI["mmd"]), judge(ALIBI["classifier"]), judge(ALIBI["online_cvm"])
    ('columns', 'permuted', 'classified', 'stream')
    """
    if offer.stream:
        return "stream"
    if offer.by_column:
        return "columns"
    return "permuted" if "n_permutations" in offer.options else "classified"


def framed(asked: Request) -> bytes:
    """Return a request as the program reads it: a NumPy archive, without pickled objects."""
    offer = asked.offer
    head = {
        "title": offer.title,
        "judge": judge(offer),
        "torch": offer.torch,
        "options": dict(asked.options),
        "categories": list(asked.categories),
        "seed": asked.seed,
    }
    text = np.frombuffer(json.dumps(head).encode(), dtype=np.uint8)
    archive = BytesIO()
    kind = np.float64 if offer.by_column else np.float32  # PyTorch's kernels are of single precision
    np.savez(archive, asked=text, reference=asked.reference.astype(kind), window=asked.window.astype(kind))
    data = archive.getvalue()
    return LENGTH.pack(len(data)) + data


def answered(received: bytearray) -> Mapping[str, object] | None:
    """Return the answer, None while it is not whole. ValueError: it is none."""
    if len(received) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack_from(received)
    if len(received) < LENGTH.size + length:
        return None
    found = json.loads(bytes(received[LENGTH.size : LENGTH.size + length]))
    return dict(found)
