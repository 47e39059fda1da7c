"""The C sources, and the digest by which a library built from them is told from a stale one.

hatch_build.py runs this file by its path, before driftd is installed: it imports the standard library alone.
"""

from hashlib import sha256
from pathlib import Path


def sources(folder: Path) -> list[Path]:
    """Return the C files to compile, in a fixed order."""
    return sorted(folder.glob("*.c"))


def digest(folder: Path) -> str:
    """Return the SHA-256, in hex, of all C sources and headers: their names, sizes and bytes.

    Raises OSError.
    """
    whole = sha256()
    for path in (*sources(folder), *sorted(folder.glob("*.h"))):
        content = path.read_bytes()
        whole.update(f"{path.name} {len(content)}\n".encode())
        whole.update(content)
    return whole.hexdigest()
