"""Decompressed bytes of a file at an offset, in bounded memory."""

import os
import zlib
from enum import Enum
from typing import BinaryIO, Protocol

import zstandard

BLOCK = 64 * 2**10
"""Bytes decompressed in one step; what a damaged step loses is read again byte by byte."""

WINDOW_MAX = 2**27
"""Largest zstd window accepted, in bytes: the library's own default for safe decoding."""

DAMAGE: tuple[type[Exception], ...] = (zlib.error, zstandard.ZstdError)


class End(Enum):
    """What lies behind the last byte that could be read."""

    OPEN = "open"  # more may be written
    COMPLETE = "complete"
    CUT = "cut"  # the compressed stream stops in mid-air: still being written, or torn
    DAMAGED = "damaged"


class ByteStream(Protocol):
    """Random access by offset; cheap when offsets go forward."""

    end: End

    def whole(self, offset: int, size: int) -> int:
        """Return `size` or, where that is cheap to find out, less: up to the last newline in it."""

    def read_at(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes; fewer only at the end, whose nature is then in `end`."""

    def close(self) -> None:
        """Let go of the file; closing twice is fine."""


class PlainStream:
    """A file as it is. Takes over the descriptor."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.end = End.OPEN

    def read_at(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes, fewer only at the end of the file."""
        # The size is asked first so that a large request does not allocate for a small rest.
        rest = os.fstat(self.descriptor).st_size - offset
        return os.pread(self.descriptor, min(size, rest), offset) if rest > 0 else b""

    def whole(self, offset: int, size: int) -> int:
        """Return the bytes up to the last newline, so that reading them needs no cut, which is a copy."""
        size = min(size, os.fstat(self.descriptor).st_size - offset)
        tail = self.read_at(offset + max(size - BLOCK, 0), min(size, BLOCK))
        return size - len(tail) + newline + 1 if (newline := tail.rfind(b"\n")) >= 0 else size

    def close(self) -> None:
        """Close the descriptor."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class Decoder(Protocol):
    """Decompresses from the start to the end, once."""

    complete: bool

    def read(self, size: int) -> bytes:
        """Return 1 to `size` bytes, none at the end; raises one of DAMAGE."""

    def be_careful(self) -> None:
        """Lose nothing that lies before damage, from now on, at whatever cost in time."""


class GzipDecoder:
    """gzip, members one behind the other; zero padding behind the last is ignored."""

    def __init__(self, file: BinaryIO) -> None:
        self.complete = False
        self._file = file
        self._input = b""
        self._at = 0
        self._feed = BLOCK
        self._member = zlib.decompressobj(wbits=31)

    def read(self, size: int) -> bytes:
        """Return 1 to `size` bytes, none at the end; raises zlib.error."""
        while True:
            if self._member.eof and not self._next_member():
                return b""
            ended = self._at == len(self._input) and not self._refill()
            piece = self._input[self._at : self._at + self._feed]
            out = self._member.decompress(piece, size)
            rest = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            self._at += len(piece) - len(rest)
            if out:
                return out
            if ended and not self._member.eof:
                return b""

    def be_careful(self) -> None:
        """Feed single bytes from now on: zlib keeps back what it decoded in the same step as an error."""
        self._feed = 1

    def _refill(self) -> bool:
        self._input, self._at = self._file.read(BLOCK), 0
        return bool(self._input)

    def _next_member(self) -> bool:
        self._input, self._at = self._input[self._at :].lstrip(b"\0"), 0
        while not self._input and self._refill():
            self._input = self._input.lstrip(b"\0")
        if self._input:
            self._member = zlib.decompressobj(wbits=31)
        self.complete = not self._input
        return bool(self._input)


class ZstdDecoder:
    """zstd, frames one behind the other."""

    def __init__(self, file: BinaryIO) -> None:
        self.complete = False
        self._file = file
        self._reader = zstandard.ZstdDecompressor(max_window_size=WINDOW_MAX).stream_reader(
            file, read_across_frames=True, closefd=False
        )

    def read(self, size: int) -> bytes:
        """Return 1 to `size` bytes, none at the end; raises ZstdError."""
        out = self._reader.read(size)
        if not out:
            self.complete = has_whole_frames(self._file)
        return out

    def be_careful(self) -> None:
        """Nothing to change: zstd gives a whole block before it looks at the next."""


def has_whole_frames(file: BinaryIO) -> bool:
    """Tell whether a zstd file ends where a frame ends: the decoder itself is silent about a cut.

    Walks over block headers only (RFC 8878, section 3.1), decompressing nothing.
    """
    length = file.seek(0, os.SEEK_END)
    at = 0
    while at < length:
        file.seek(at)
        head = file.read(18)
        if head[1:4] == b"\x2a\x4d\x18":  # a skippable frame: magic, length, content
            at += 8 + int.from_bytes(head[4:8], "little")
            continue
        try:
            at += zstandard.frame_header_size(head)
            checksum = zstandard.get_frame_parameters(head).has_checksum
        except zstandard.ZstdError:
            return False
        at = _behind_blocks(file, at) + (4 if checksum else 0)
    return at == length


def _behind_blocks(file: BinaryIO, at: int) -> int:
    while True:
        file.seek(at)
        raw = file.read(3)
        header = int.from_bytes(raw, "little")
        repeated = header >> 1 & 3 == 1
        at += 3 + (1 if repeated else header >> 3)
        if header & 1 or len(raw) < 3:  # noqa: PLR2004 -- a block header has three bytes
            return at


class CompressedStream:
    """A compressed file, decoded forward; a small window is kept, going back starts again."""

    def __init__(self, path: str, file: BinaryIO) -> None:
        self.end = End.OPEN
        self._file = file
        self._make = ZstdDecoder if path.endswith(".zst") else GzipDecoder
        self._restart()

    def _restart(self) -> None:
        self._file.seek(0)
        self._decoder: Decoder = self._make(self._file)
        self._start = 0
        self._window = bytearray()
        self.end = End.OPEN

    def read_at(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes, fewer only at the end of what can be decoded."""
        if offset < self._start:
            self._restart()
        while True:
            drop = min(offset - self._start, len(self._window))
            del self._window[:drop]
            self._start += drop
            if self.end is not End.OPEN or (self._start == offset and len(self._window) >= size):
                return bytes(memoryview(self._window)[:size]) if self._start == offset else b""
            self._decode(BLOCK)

    def whole(self, offset: int, size: int) -> int:  # noqa: ARG002 -- nothing is known before it is decoded
        """Return `size`."""
        return size

    def _decode(self, step: int) -> None:
        try:
            out = self._decoder.read(step)
        except DAMAGE:
            self._salvage()
            return
        self._window += out
        if not out:
            self.end = End.COMPLETE if self._decoder.complete else End.CUT

    def _salvage(self) -> None:
        """Fetch the bytes before the damage: decode again up to here, then byte by byte."""
        known = self._start + len(self._window)
        self._file.seek(0)
        self._decoder = self._make(self._file)
        self.end = End.CUT  # stands only when the file was cut back meanwhile
        try:
            while known > 0 and (out := self._decoder.read(min(BLOCK, known))):
                known -= len(out)
            self._decoder.be_careful()
            while out := self._decoder.read(1):
                self._window += out
        except DAMAGE:
            self.end = End.DAMAGED

    def close(self) -> None:
        """Close the file and free the window."""
        self._file.close()
        self._window.clear()
