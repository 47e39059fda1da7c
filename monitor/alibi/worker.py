"""The program that runs alibi-detect, by the interpreter of an environment that has it.

It imports nothing of driftd. A request is a frame on stdin, an answer one on what was stdout at the start:
8 bytes of length, big-endian, then the bytes. A request is a NumPy archive without pickled objects: `asked`,
JSON in UTF-8, and the matrices `reference` and `window`. An answer is a JSON object. The first frame out says
what is installed. It ends with its stdin, or when its parent is gone.

Arguments: the parent's process id, the memory it may take in bytes.
"""

import json
import os
import resource
import signal
import struct
import sys
import threading
import time
from collections.abc import Callable, Mapping
from importlib import import_module, metadata
from importlib.util import find_spec
from io import BytesIO
from typing import BinaryIO

import numpy as np

LENGTH = struct.Struct(">Q")
EVERY = 1.0
"""Seconds between two looks at the parent."""
FAILURES: tuple[type[BaseException], ...] = (Exception,)
"""What alibi-detect, NumPy and PyTorch may raise: anything."""
ALLOCATOR = "allocate memory"
"""Says of a RuntimeError of PyTorch that memory is short."""

Answer = Mapping[str, object]


def hello() -> Answer:
    """Import alibi-detect, and say what is installed."""
    import_module("alibi_detect.cd")
    torch = metadata.version("torch") if find_spec("torch") else ""
    return {"ready": True, "alibi_detect": metadata.version("alibi-detect"), "torch": torch}


def answer(request: bytes, judges: Mapping[str, Callable[..., Answer]]) -> Answer:
    """Return what a detector says of a request, or what went wrong: never a value of the data."""
    try:
        with np.load(BytesIO(request), allow_pickle=False) as arrays:
            asked = json.loads(arrays["asked"].tobytes())
            sides = arrays["reference"], arrays["window"]
        if asked["torch"] and not find_spec("torch"):
            return {"error": "torch"}
        return judges[asked["judge"]](asked, *sides)
    except MemoryError:
        return {"error": "memory"}
    except FAILURES as error:
        short = isinstance(error, RuntimeError) and ALLOCATOR in str(error)
        return {"error": "memory"} if short else {"error": "failed", "kind": type(error).__name__}


def serve(greet: Callable[[], Answer], reply: Callable[[bytes], Answer]) -> None:
    """Answer requests until stdin ends."""
    parent, memory = int(sys.argv[1]), int(sys.argv[2])
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # systemd sends it to all of a service: the daemon ends us
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)  # what libraries print is no answer
        _send(out, greet())
        while (request := _receive(sys.stdin.buffer)) is not None:
            _send(out, reply(request))


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(EVERY)
    os._exit(1)


def _send(out: BinaryIO, found: Answer) -> None:
    data = json.dumps(found).encode()
    out.write(LENGTH.pack(len(data)) + data)
    out.flush()


def _receive(source: BinaryIO) -> bytes | None:
    head = source.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    data = source.read(length)
    return data if len(data) == length else None


def main() -> None:
    """Serve alibi-detect; what it does with a request is in judges.py beside this file."""
    judges: Mapping[str, Callable[..., Answer]] = import_module("judges").judges()
    serve(hello, lambda request: answer(request, judges))


if __name__ == "__main__":
    main()
