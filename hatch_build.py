"""Compile monitor/native with the system's C compiler, where there is one, when driftd is built or installed.

Hatchling runs the hook; `python hatch_build.py` does the same to this source tree and nothing else. Without a
compiler, or where it fails, what is built is pure Python and does the same, slower: docs/decisions/0009.
"""

import os
import runpy
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent
LIBRARY = "monitor/native/_driftd.so"
COMPILERS = ("cc", "gcc", "clang")
FLAGS = (
    *("-std=c11", "-D_GNU_SOURCE", "-O3", "-fPIC", "-shared", "-ffp-contract=off", "-fvisibility=hidden"),
    *("-Wall", "-Wextra", "-Werror=implicit-function-declaration"),
)
"""No -march=native: wheels run elsewhere. No contraction: a fused product rounds otherwise than NumPy's."""


class NativeHook(BuildHookInterface[Any]):
    """Puts the library into wheels, and beside the sources of an editable install."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile; a wheel with the library is tagged with the platform, for any Python 3."""
        root = Path(self.root)
        if version == "editable":
            install(root)
        elif built(root):
            self._add(build_data)

    @staticmethod
    def _add(build_data: dict[str, Any]) -> None:
        build_data["artifacts"].append(f"/{LIBRARY}")
        build_data["pure_python"] = False
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"


def install(root: Path) -> None:
    """Compile the library for who runs driftd off the source tree, which has none where that fails."""
    if not built(root):
        (root / LIBRARY).unlink(missing_ok=True)


def built(root: Path) -> bool:
    """Compile the library into the source tree; where that fails say why on stderr."""
    why = _compiled(root / "monitor" / "native", root / LIBRARY)
    if why:
        sys.stderr.write(f"driftd: built without its native library, which only makes it faster: {why}\n")
    return not why


def _compiled(folder: Path, library: Path) -> str:
    """Compile all sources; return why there is no library, "" when there is one."""
    if os.environ.get("DRIFTD_NATIVE") == "off":
        return "DRIFTD_NATIVE=off"
    compiler = shlex.split(os.environ.get("CC", "")) or [c for c in COMPILERS if shutil.which(c)][:1]
    if not compiler:
        return f"no C compiler found: neither $CC nor {', '.join(COMPILERS)}"
    own = runpy.run_path(str(folder / "sources.py"))
    names = [path.name for path in own["sources"](folder)]
    with TemporaryDirectory(dir=folder, prefix=".build-") as made:
        new = Path(made) / library.name
        define = f'-DDRIFTD_SOURCES="{own["digest"](folder)}"'
        command = [*compiler, *FLAGS, define, "-o", str(new), *names, "-lm"]
        try:
            code = subprocess.run(command, cwd=folder, check=False).returncode  # noqa: S603 - $CC is the user's
            if code:
                return f"{compiler[0]} ended with {code}"
            new.replace(library)  # at once: a process that has the old one mapped keeps it
        except OSError as error:
            return f"{compiler[0]}: {error}"
    return ""


if __name__ == "__main__":
    install(ROOT)
