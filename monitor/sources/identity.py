"""Which file is which: content keeps its entry through renames, copies and compression.

A file is known by its inode together with a fingerprint of its first bytes, never by one of them alone:
inodes are reused at once, and a fingerprint may be short or shared by a copy.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b

from msgspec import Struct, field
from msgspec.structs import asdict, replace

from monitor.errors import StateError

FULL = 8192
"""Bytes of a complete fingerprint. A shorter one still identifies a file, but not a copy of it."""

FORGET_BEYOND = 10_000
"""Entries kept; beyond this the oldest whose file is gone are dropped."""

VERSION = 1
COMPRESSED = (".gz", ".zst")

FileId = tuple[int, int]
"""Device and inode."""


class Entry(Struct, frozen=True):
    """What is durably known about one file's content.

    offset counts bytes of decompressed content (always at a line's start), or rows of Parquet and IPC.
    dev and inode are 0 once another content has been found at that inode. seq orders entries by age.
    """

    path: str
    dev: int
    inode: int
    fingerprint: str
    fp_len: int
    offset: int
    done: bool
    seq: int

    @property
    def blank(self) -> bool:
        """Tell whether nothing is known of the content: then only an empty file is the same."""
        return not (self.fp_len or self.offset or self.done)

    def encode(self) -> str:
        """Return the entry as it stands in a position."""
        return json.dumps({"v": VERSION, **asdict(self)}, separators=(",", ":"))

    @classmethod
    def decode(cls, text: str) -> "Entry":
        """Read an entry; raises StateError for a version that this program does not know."""
        fields = json.loads(text)
        if (version := fields.pop("v", None)) != VERSION:
            raise StateError(
                f"a file position has version {version}, this program knows {VERSION}; use a newer driftd"
            )
        return cls(**fields)


class Found(Struct, frozen=True):
    """A file seen in this poll. `growing` files may be appended to, others are finished ones.

    named: the glob finds it; else it is only still open, renamed or deleted.
    """

    path: str
    id: FileId
    size: int
    mtime: int
    growing: bool
    named: bool = True


class Head(Struct, frozen=True):
    """The bytes that identify a file: the first ones of its content, up to FULL."""

    content: bytes

    def fingerprint(self, length: int) -> str:
        """Return the hash of the first `length` bytes."""
        return blake2b(self.content[:length], digest_size=16).hexdigest()

    def starts_as(self, entry: Entry) -> bool:
        """Tell whether the content begins with what the entry remembers."""
        return len(self.content) >= entry.fp_len and self.fingerprint(entry.fp_len) == entry.fingerprint


class Matching(Struct):
    """Entries brought up to date with the files found.

    keys: the entry of each file. copies: files that hold what another, living file holds, left alone, with
    that file's entry. truncations: files cut back in place.
    """

    entries: dict[str, Entry]
    keys: dict[FileId, str] = field(default_factory=dict)
    copies: dict[FileId, str] = field(default_factory=dict)
    truncations: int = 0


class Matcher:
    """One poll's matching of files with entries.

    `head` reads a file's head and raises OSError when it cannot; such a file is reported to `failed` and
    left for the next poll. `unchanged` names the entry, and `copies` the original's entry, of files that
    have not changed since they were last matched, so that an idle poll opens nothing.
    """

    def __init__(
        self,
        entries: Mapping[str, Entry],
        head: Callable[[Found], Head],
        unchanged: Mapping[FileId, str],
        copies: Mapping[FileId, str],
    ) -> None:
        self._before = entries
        self._result = Matching(dict(entries))
        self._entries = self._result.entries
        self._head = head
        self._unchanged = unchanged
        self._copies = copies
        self._owner: dict[str, Found] = {}
        self._prints: dict[int, dict[str, str]] = {}
        self._seq = max((entry.seq for entry in entries.values()), default=0)
        self._by_id = {(e.dev, e.inode): key for key, e in entries.items() if e.inode}

    def match(self, found: Sequence[Found], failed: Callable[[Found, OSError], None]) -> Matching:
        """Give every file its entry."""
        strangers: list[tuple[Found, Head]] = []
        for file in sorted(found, key=lambda file: (file.id in self._copies, file.named)):
            if self._is_still_copy(file):
                continue
            try:
                head = self._recognise(file)
            except OSError as error:
                failed(file, error)
                continue
            if head is not None:
                strangers.append((file, head))
        lost = self._detach([file for file, _ in strangers])
        if strangers:
            self._index_all()
        for file, head in strangers:
            if not self._inherit(file, head):
                self._begin(file, head, lost.get(file.id))
        self._forget()
        return self._result

    def _is_still_copy(self, file: Found) -> bool:
        """Tell whether a copy's original is alive; originals have been matched before copies."""
        key = self._copies.get(file.id)
        if key is None or key not in self._owner:
            return False
        self._result.copies[file.id] = key
        return True

    def _recognise(self, file: Found) -> Head | None:
        """Find the entry of a known inode; return the head of a file that has none."""
        key = self._unchanged.get(file.id)
        if key is not None and key in self._entries and key not in self._owner:
            self._claim(key, file, None)
            return None
        key = self._by_id.get(file.id)
        key = None if key in self._owner else key
        if key is not None:
            self._owner[key] = file  # stands while the head cannot be read: an unreadable file is not gone
        head = self._head(file)
        if key is not None:
            del self._owner[key]
            if _is_same(self._entries[key], file, head):
                self._claim(key, file, head)
                return None
        return head

    def _claim(self, key: str, file: Found, head: Head | None) -> None:
        entry = self._entries[key]
        # A copy made before the last lines were read ends before the offset.
        offset = min(entry.offset, file.size) if file.growing else entry.offset
        entry = replace(entry, path=file.path, dev=file.id[0], inode=file.id[1], offset=offset)
        if head is not None and entry.fp_len < FULL and len(head.content) > entry.fp_len:
            length = len(head.content)
            entry = replace(entry, fingerprint=head.fingerprint(length), fp_len=length)
        self._entries[key] = entry
        self._owner[key] = file
        self._result.keys[file.id] = key

    def _detach(self, strangers: Iterable[Found]) -> dict[FileId, Entry]:
        """Part entries from inodes that hold other content now; return them as they were."""
        lost: dict[FileId, Entry] = {}
        for file in strangers:
            key = self._by_id.get(file.id)
            if key is None:
                continue
            if not self._before[key].blank:
                lost[file.id] = self._before[key]
            if key in self._owner:
                continue
            if self._before[key].blank:
                del self._entries[key]
            else:
                self._entries[key] = replace(self._entries[key], dev=0, inode=0)
        return lost

    def _index_all(self) -> None:
        """Group entries by fingerprint; of equal ones a free entry wins, then the newest."""
        for key in sorted(self._entries, key=lambda key: (key not in self._owner, self._entries[key].seq)):
            self._index(key)

    def _index(self, key: str) -> None:
        entry = self._entries[key]
        if entry.fp_len:
            self._prints.setdefault(entry.fp_len, {})[entry.fingerprint] = key

    def _inherit(self, file: Found, head: Head) -> bool:
        """Continue content known from elsewhere; False when the content is new."""
        for length, keys in sorted(self._prints.items(), reverse=True):
            key = keys.get(head.fingerprint(length)) if length <= len(head.content) else None
            if key is None or key == self._by_id.get(file.id):
                continue  # a file cut back and begun anew with the same lines is no copy of itself
            owner = self._owner.get(key)
            if owner is None:
                self._claim(key, file, head)
                self._index(key)
                return True
            if length >= FULL or _is_archive_of(file, owner):
                self._result.copies[file.id] = key
                return True
        return False

    def _begin(self, file: Found, head: Head, lost: Entry | None) -> None:
        """Start a file at its first byte."""
        self._seq += 1
        length = len(head.content)
        entry = Entry(file.path, *file.id, head.fingerprint(length), length, 0, done=False, seq=self._seq)
        key = f"{entry.fingerprint[:16]}-{file.id[1]:x}-{self._seq}"
        self._entries[key] = entry
        self._owner[key] = file
        self._result.keys[file.id] = key
        self._index(key)
        if lost is not None and lost.path == file.path and file.growing:
            self._result.truncations += 1

    def _forget(self) -> None:
        surplus = len(self._entries) - FORGET_BEYOND
        if surplus > 0:
            gone = [key for key in self._entries if key not in self._owner]
            for key in sorted(gone, key=lambda key: self._entries[key].seq)[:surplus]:
                del self._entries[key]


def _is_same(entry: Entry, file: Found, head: Head) -> bool:
    """Tell whether a known inode still holds what the entry knows; only plain text shows its length."""
    if entry.blank:
        return not head.content
    return (not file.growing or file.size >= entry.offset) and head.starts_as(entry)


def _is_archive_of(file: Found, original: Found) -> bool:
    """Tell whether `file` takes the place of `original`: it is its compressed form, or what is left of it."""
    return not original.named or any(file.path == original.path + ending for ending in COMPRESSED)
