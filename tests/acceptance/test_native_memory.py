"""C reads what strangers wrote: its laws run under the address and undefined-behaviour sanitizers too."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from monitor.native.library import FILE, FOLDER

pytestmark = pytest.mark.acceptance
ROOT = Path(__file__).parents[2]
COMPILER = "gcc -g -DNARROW -fsanitize=address,undefined -fno-sanitize-recover=all"
USING = """
import sys
from pathlib import Path
from monitor.native import library
library.FOLDER = Path(sys.argv[1])
"""
TESTS = "import pytest; sys.exit(pytest.main(sys.argv[2:]))"
BEYOND = """
import ctypes
library.library().beyond.restype = ctypes.c_int
print(library.library().beyond(ctypes.c_int(int(sys.argv[2]))))
"""
BROKEN = """#include "driftd.h"
EXPORT int beyond(int at);
int beyond(int at) {
  int *three = calloc(3, sizeof(int));
  const int found = three ? three[at] : 0;
  free(three);
  return found;
}
"""


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, program: Callable[[str], str]) -> Path:
    """Build the C sources, and a function that reads too far, with the sanitizers; returns their folder."""
    program("gcc")
    tree = tmp_path_factory.mktemp("tree")
    shutil.copy(ROOT / "hatch_build.py", tree)
    folder = shutil.copytree(FOLDER, tree / "monitor" / "native", ignore=shutil.ignore_patterns("*.so"))
    (folder / "beyond.c").write_text(BROKEN, "utf-8")
    build = [sys.executable, "hatch_build.py"]
    subprocess.run(build, cwd=tree, env={**os.environ, "CC": COMPILER, "DRIFTD_NATIVE": ""}, check=True)
    assert (folder / FILE).is_file()
    return folder


def run(folder: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program that uses the library in the folder."""
    where = subprocess.run(["gcc", "-print-file-name=libasan.so"], check=True, capture_output=True, text=True)
    environment = {
        "LD_PRELOAD": where.stdout.strip(),
        "ASAN_OPTIONS": "detect_leaks=0",  # Python keeps much until its end
        "PYTHONMALLOC": "malloc",  # each object's memory on its own, so that its end is seen
        "DRIFTD_REQUIRE_PROGRAMS": "1",  # no skip
        "DRIFTD_NATIVE": "",
    }
    return subprocess.run(
        [sys.executable, "-c", USING + script, str(folder), *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        check=False,
        capture_output=True,
        text=True,
    )


def test_the_kernels_touch_no_memory_but_what_they_are_given(watched: Path) -> None:
    laws = sorted((ROOT / "tests" / "laws").glob("test_native*.py"))

    ended = run(watched, TESTS, "-q", "-n", "0", "-p", "no:cacheprovider", *map(str, laws))

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert laws


def test_what_would_be_found_is(watched: Path) -> None:
    within, beyond = (run(watched, BEYOND, at) for at in ("2", "3"))

    assert (within.returncode, within.stdout) == (0, "0\n")
    assert beyond.returncode != 0
    assert "beyond.c:5:" in beyond.stderr
