"""Log files named by a glob: growing ones followed through rotation, finished ones read once."""

import glob
import os
import stat
from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from monitor.sources.identity import COMPRESSED, Entry, FileId, Found, Head, Matcher, Matching
from monitor.sources.merge import Merge, Peek, Unread
from monitor.sources.opened import Format, OpenFiles
from monitor.sources.reading import Limits, Reader
from monitor.types import Batch, Micros, Position

__all__ = ["FilesSource", "Format", "Limits", "Peek"]


class Seen(Struct, frozen=True):
    """A file as the last poll left it. drained: nothing was unread behind this offset.

    fp_len: how much of its content is in the fingerprint; an entry that has less was not committed since.
    """

    size: int
    mtime: int
    key: str
    copy: bool
    fp_len: int = 0
    drained: int = -1


class FilesSource:
    """Files that match an absolute glob (`**` for any depth), all of one format.

    peek: returns the timestamp of the only row of a chunk in microseconds, None when it has none; asked
    only while several files have unread rows. Files ending in .gz or .zst are finished ones.
    problems: why a file was left out of the last poll, by path.
    """

    def __init__(self, name: str, pattern: str, format: Format, peek: Peek, limits: Limits) -> None:  # noqa: A002 -- the configuration's word
        self.name = name
        self.problems: dict[str, str] = {}
        self._pattern = pattern
        self._grows = format in ("jsonl", "csv")
        self._peek = peek
        self.limits = limits
        self._opened = OpenFiles(format, limits)
        self._seen: dict[FileId, Seen] = {}
        self._frontiers: dict[tuple[str, int], Micros | None] = {}
        self._decoded: tuple[Mapping[str, str], dict[str, Entry]] = ({}, {})
        self._known: set[FileId] = set()
        self._quiet: Mapping[str, str] | None = None

    def poll(self, after: Position, limit: int) -> Batch | None:
        """Return the next rows of the files found, None when there are none.

        Raises StateError when the position was written by a newer program; a file that cannot be read
        is no error but one of the `problems`.
        """
        before, self.problems = self.problems, {}
        entries = self._entries(after)
        found = self._find()
        if self._is_quiet(after, found):
            self.problems |= before
            return None
        matching = self._match(entries, found)
        files = self._unread(matching, found)
        limits = replace(self.limits, rows=min(limit, self.limits.rows))
        merge = Merge(self._peek, limits, self._frontiers)
        merge.fill(list(files.values()))
        idle = not (files or matching.truncations) and all(self._is_unchanged(file) for file in found)
        self._quiet = after.entries if idle else None
        self._remember(matching, files, found)
        if not (merge.chunks or merge.rejects or matching.truncations):
            return None
        more = any(file.pending for file in files.values())
        position = self._position(after, entries, matching)
        return Batch(
            self.name, position, tuple(merge.chunks), tuple(merge.rejects), matching.truncations, more=more
        )

    def close(self) -> None:
        """Close every file; closing twice is fine."""
        self._opened.close()

    def _entries(self, after: Position) -> dict[str, Entry]:
        """Decode a position, of which only what changed since the last poll is parsed."""
        texts, entries = self._decoded
        if texts is not after.entries:
            entries = {
                key: entries[key] if texts.get(key) == text else Entry.decode(text)
                for key, text in after.entries.items()
            }
            self._decoded = (after.entries, entries)
            self._known = {(entry.dev, entry.inode) for entry in entries.values()}
        return entries

    def _is_quiet(self, after: Position, found: list[Found]) -> bool:
        """Tell whether this poll sees what the last one saw, which had nothing to read."""
        known = self._quiet is after.entries and len(found) == len(self._seen)
        return known and all(self._is_unchanged(file) for file in found)

    def _find(self) -> list[Found]:
        """Return the files that match, one path per inode, and open ones that no longer match."""
        found: dict[FileId, Found] = {}
        for path in sorted(glob.glob(self._pattern, recursive=True)):  # noqa: PTH207 -- pathlib takes no absolute pattern
            try:
                status = os.stat(path)  # noqa: PTH116 -- an idle poll is to cost next to nothing
            except FileNotFoundError:
                continue
            except OSError as error:
                self.problems[path] = str(error)
                continue
            id_ = (status.st_dev, status.st_ino)
            # An empty file has no content to be known by, unless it was cut back.
            if stat.S_ISREG(status.st_mode) and (status.st_size or id_ in self._known):
                growing = self._grows and not path.endswith(COMPRESSED)
                found.setdefault(id_, Found(path, id_, status.st_size, status.st_mtime_ns, growing))
        for nameless in list(self._opened.nameless(found)):
            found[nameless.id] = nameless
            self._opened.rest(nameless, idle=self._is_unchanged(nameless))
        return list(found.values())

    def _is_unchanged(self, file: Found) -> bool:
        seen = self._seen.get(file.id)
        return seen is not None and (seen.size, seen.mtime) == (file.size, file.mtime)

    def _match(self, entries: Mapping[str, Entry], found: list[Found]) -> Matching:
        unchanged = {file.id: self._seen[file.id] for file in found if self._is_unchanged(file)}
        for file in found:
            self._opened.meet(file, settled=file.id in unchanged)
        matcher = Matcher(
            entries,
            self._head,
            {id_: seen.key for id_, seen in unchanged.items() if _is_complete(seen, entries)},
            {id_: seen.key for id_, seen in unchanged.items() if seen.copy},
        )
        return matcher.match(found, self._failed)

    def _reader(self, file: Found) -> Reader:
        return self._opened.reader(file, settled=self._is_unchanged(file))

    def _head(self, file: Found) -> Head:
        return self._reader(file).head()

    def _failed(self, file: Found, error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            self.problems[file.path] = str(error)

    def _unread(self, matching: Matching, found: list[Found]) -> dict[FileId, Unread]:
        """Return the files that may have something unread."""
        files: dict[FileId, Unread] = {}
        for file in found:
            key = matching.keys.get(file.id)
            if key is None:
                continue
            entry = matching.entries[key]
            drained = self._is_unchanged(file) and self._seen[file.id].drained == entry.offset
            if not entry.done and not drained:
                files[file.id] = self._prepare(key, file, entry.offset)
        return files

    def _prepare(self, key: str, file: Found, offset: int) -> Unread:
        return Unread(key, file.path, file.mtime, lambda: self._reader(file), offset)

    def _remember(self, matching: Matching, files: Mapping[FileId, Unread], found: list[Found]) -> None:
        """Write what was read into the entries, and what was seen into the hints."""
        seen: dict[FileId, Seen] = {}
        for file in found:
            unread = files.get(file.id)
            if unread is not None:
                self._book(matching, unread)
            key = matching.keys.get(file.id)
            if key is not None and (unread is None or not unread.failure):
                final = file.growing or self._is_unchanged(file)
                idle = unread is None or (final and not unread.pending)
                entry = matching.entries[key]
                drained = entry.offset if idle else -1
                seen[file.id] = Seen(
                    file.size, file.mtime, key, copy=False, fp_len=entry.fp_len, drained=drained
                )
            elif file.id in matching.copies:
                seen[file.id] = self._see_copy(matching, file)
        self._seen = seen
        self._frontiers = {
            at: self._frontiers[at]
            for file in files.values()
            if file.pending and (at := (file.key, file.offset)) in self._frontiers
        }
        self._opened.release()

    def _book(self, matching: Matching, unread: Unread) -> None:
        entry = matching.entries[unread.key]
        matching.entries[unread.key] = replace(entry, offset=unread.offset, done=unread.done)
        if unread.failure:
            self.problems[unread.path] = unread.failure

    def _see_copy(self, matching: Matching, file: Found) -> Seen:
        key = matching.copies[file.id]
        if file.growing and self._is_unchanged(file):
            original = matching.entries[key].path
            self.problems[file.path] = f"begins as {original} does and is taken for its copy"
        return Seen(file.size, file.mtime, key, copy=True)

    def _position(self, after: Position, entries: Mapping[str, Entry], matching: Matching) -> Position:
        texts: dict[str, str] = {}
        for key, entry in matching.entries.items():
            if entries.get(key) == entry:
                texts[key] = after.entries[key]
            elif key in entries or entry.offset or entry.done or self._grows:
                texts[key] = entry.encode()  # a columnar file is known once something was read of it
        return Position(texts)


def _is_complete(seen: Seen, entries: Mapping[str, Entry]) -> bool:
    """Tell whether an entry says all that is known of an unchanged file."""
    entry = None if seen.copy else entries.get(seen.key)
    return entry is not None and entry.fp_len == seen.fp_len
