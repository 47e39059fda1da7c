"""The native library: used where it is there and of these sources, and otherwise a reason why not."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from monitor.native.library import FILE, FOLDER, SWITCH, found, library, look
from monitor.native.sources import digest
from tests.native import NATIVE, NUMPY, counted_by
from tests.programs import Project

EMPTY = """
[[models]]
name = "m"
features = { numeric = ["x"] }
reference = { first = "2d" }
columns = { prediction = "p" }
sources = [{ role = "predictions", type = "files", path = "logs/*.jsonl" }]
"""


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile a copy of the sources, where there is a compiler; returns the folder."""
    root = tmp_path_factory.mktemp("tree")
    shutil.copytree(FOLDER, root / "monitor" / "native", ignore=shutil.ignore_patterns("*.so"))
    shutil.copy(FOLDER.parents[1] / "hatch_build.py", root)
    build = [sys.executable, "hatch_build.py"]
    subprocess.run(build, cwd=root, env={**os.environ, SWITCH: ""}, check=True)
    return root / "monitor" / "native"


@pytest.fixture
def folder(copied: Path, tmp_path: Path, program: Callable[[str], str]) -> Path:
    """Return a folder of its own with the sources and the library built from them."""
    program("cc")
    return shutil.copytree(copied, tmp_path / "native")


def test_a_library_of_the_sources_beside_it_is_loaded(folder: Path) -> None:
    seen = look(folder, "")

    assert seen.library is not None
    assert seen.library.driftd_native_sources() == digest(folder).encode()
    assert str(seen) == "native"


@pytest.mark.parametrize("name", ["version.c", "driftd.h"])
def test_a_library_of_other_sources_is_not_used(folder: Path, name: str) -> None:
    with (folder / name).open("a", encoding="utf-8") as source:
        source.write("\n")

    seen = look(folder, "")

    assert (seen.library, seen.broken) == (None, True)
    assert "stale" in str(seen)


def test_a_new_source_makes_a_library_stale_too(folder: Path) -> None:
    (folder / "zeta.c").write_text("", "utf-8")

    assert "stale" in look(folder, "").why


def test_off_is_off_and_no_trouble(folder: Path) -> None:
    seen = look(folder, "off")

    assert (seen.library, seen.broken) == (None, False)
    assert f"{SWITCH}=off" in str(seen)


def test_where_none_was_built_numpy_counts(folder: Path) -> None:
    (folder / FILE).unlink()

    seen = look(folder, "")

    assert (seen.library, seen.broken) == (None, False)
    assert str(seen).startswith("NumPy: driftd was installed without a C compiler")


@pytest.mark.parametrize("content", [b"", b"\x7fELF of another machine"])
def test_what_cannot_be_loaded_is_said_and_not_fatal(folder: Path, content: bytes) -> None:
    (folder / FILE).unlink()  # not overwritten: it is mapped
    (folder / FILE).write_bytes(content)

    seen = look(folder, "")

    assert (seen.library, seen.broken) == (None, True)
    assert "cannot be loaded, install driftd again" in seen.why


def test_a_library_of_something_else_is_not_used(folder: Path) -> None:
    (folder / "other.c").write_text("int nothing(void);\nint nothing(void) { return 0; }\n", "utf-8")
    (folder / FILE).unlink()
    subprocess.run(["cc", "-shared", "-fPIC", "-o", FILE, "other.c"], cwd=folder, check=True)

    assert look(folder, "").broken


def test_a_test_of_both_ways_goes_both(kernels: str) -> None:
    assert (library() is not None) == (kernels == NATIVE)
    assert found() is found()


@pytest.mark.parametrize("way", [NATIVE, NUMPY])
def test_a_run_begins_by_saying_which_kernels_count(tmp_path: Path, way: str) -> None:
    project = Project(tmp_path).configure(EMPTY)

    with counted_by(way):
        line = json.loads(project.driftd("run", "--once").stderr.splitlines()[0])

    assert (line["event"], line["level"]) == ("kernels", "info")
    assert line["kernels"].startswith("native" if way == NATIVE else "NumPy: ")


def test_a_library_that_cannot_be_used_is_a_warning(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    (folder / "zeta.c").write_text("", "utf-8")
    monkeypatch.setattr("monitor.native.library.FOLDER", folder)
    monkeypatch.delenv(SWITCH, raising=False)
    found.cache_clear()
    request.addfinalizer(found.cache_clear)

    ended = Project(tmp_path).configure(EMPTY).ask("run", "--once")

    line = json.loads(ended.stderr.splitlines()[0])
    assert (line["event"], line["level"]) == ("kernels", "warning")
    assert "stale" in line["kernels"]
