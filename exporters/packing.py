"""gzip of pages of which most stays the same: large pieces are compressed once and used again.

A gzip file is a chain of deflated blocks and a checksum over all of it. Blocks that were flushed in full know
nothing of each other, so that a page can be put together of old and new ones (RFC 1951, 1952). It is one
member: some clients read no second one.
"""

import zlib
from collections.abc import Iterable, Iterator
from itertools import groupby

LARGE = 16 * 1024
"""Bytes from which a piece is worth remembering."""
FAST = 1
"""Level of compression: as small as the usual one to within a tenth, in a third of the time."""
HEAD = bytes([0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 4, 0xFF])
"""gzip, deflated, no name and no time, made fast, on a system that does not matter."""


class Packer:
    """Makes gzip files of pieces; used by one thread at a time.

    >>> packer, large = Packer(), b"x" * LARGE
    >>> twice = [packer.pack([b"head", large, b"", b"tail"]) for _ in range(2)]
    >>> [zlib.decompress(file, 31) == b"head" + large + b"tail" for file in twice]
    [True, True]
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[bytes, bytes]] = {}

    def pack(self, pieces: Iterable[bytes]) -> bytes:
        """Return one gzip file of all pieces; large ones that were in the last one are not packed again."""
        used: dict[int, tuple[bytes, bytes]] = {}
        checksum = size = 0
        found = [HEAD]
        for piece in _joined(pieces):
            checksum, size = zlib.crc32(piece, checksum), size + len(piece)
            packed = self._known.get(id(piece), (None, b""))[1] or _deflated(piece)
            if len(piece) >= LARGE:
                used[id(piece)] = piece, packed  # the piece is held, so that its id stays its own
            found.append(packed)
        self._known = used
        end = zlib.compressobj(FAST, zlib.DEFLATED, -zlib.MAX_WBITS).flush()
        found += [end, checksum.to_bytes(4, "little"), (size % 2**32).to_bytes(4, "little")]
        return b"".join(found)


def _joined(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield large pieces as they are, and what lies between them as one."""
    for large, group in groupby(pieces, key=lambda piece: len(piece) >= LARGE):
        if large:
            yield from group
        else:
            yield b"".join(group)


def _deflated(piece: bytes) -> bytes:
    deflate = zlib.compressobj(FAST, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflate.compress(piece) + deflate.flush(zlib.Z_FULL_FLUSH)
