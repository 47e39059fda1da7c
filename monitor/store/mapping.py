"""Files as arrays, without a descriptor held open: Python's own mmap keeps one for every mapping."""

import ctypes
import mmap
import os
import weakref
from functools import lru_cache
from typing import IO

import numpy as np
from numpy.typing import NDArray

FAILED = ctypes.c_void_p(-1).value


class _Area:
    """The pages of a mapping, in the words of NumPy's array interface."""

    def __init__(self, address: int, size: int) -> None:
        self.__array_interface__ = {
            "version": 3,
            "typestr": "|u1",
            "shape": (size,),
            "data": (address, True),  # read-only
        }


@lru_cache(1)
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    numbers = [ctypes.c_int] * 3
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *numbers, ctypes.c_long]
    libc.mmap.restype = ctypes.c_void_p
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    return libc


def pages(file: IO[bytes]) -> NDArray[np.uint8]:
    """Return the bytes of a file, read-only, read from the disk when they are looked at.

    The array outlives the file object and the file's name; the mapping goes with the last array over it.
    Raises OSError where the kernel maps nothing: of an empty file, or beyond its limit (65,530 a process).
    """
    size = os.fstat(file.fileno()).st_size
    libc = _libc()
    address = libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, file.fileno(), 0)
    if address == FAILED:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    area = _Area(address, size)
    # not at exit: other threads may still look at the pages, and the kernel takes them back anyway
    weakref.finalize(area, libc.munmap, address, size).atexit = False
    return np.asarray(area)
