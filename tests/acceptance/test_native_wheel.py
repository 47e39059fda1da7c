"""What a build makes of the C sources: a library where there is a compiler, else a wheel of pure Python."""

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import pytest

from monitor.native.library import FILE, look

pytestmark = pytest.mark.acceptance
ROOT = Path(__file__).parents[2]
PROJECT = (
    "pyproject.toml",
    "hatch_build.py",
    "README.md",
    "LICENSE",
    "monitor/__init__.py",
    "monitor/native",
)
NATIVE = Path("monitor", "native")
WITHOUT = {
    "no compiler": {"PATH": "", "CC": ""},
    "one that is not there": {"CC": "/nowhere/cc"},
    "one that fails": {"CC": "false"},
    "switched off": {"DRIFTD_NATIVE": "off"},
}


@dataclass(frozen=True)
class Tree:
    """A source tree of its own, as small as a build allows."""

    root: Path

    def build(self, target: str, **environment: str) -> tuple[Path, str]:
        """Build what is named; returns the file and what was said on stderr."""
        made = self.root / "dist" / target
        python = f"import hatchling.build as b; b.build_{target}({str(made)!r})"
        clean = {name: value for name, value in os.environ.items() if name not in {"CC", "DRIFTD_NATIVE"}}
        made.mkdir(parents=True)
        said = subprocess.run(
            [sys.executable, "-c", python],
            cwd=self.root,
            env={**clean, **environment},
            check=True,
            capture_output=True,
            text=True,
        ).stderr
        (file,) = made.iterdir()
        return file, said


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Copy what the wheel's build reads, and leave out what it packs besides."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]
    for name in (*PROJECT, *build["targets"]["wheel"]["force-include"], ".gitignore"):
        new = tmp_path / "tree" / name
        new.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, new, ignore=shutil.ignore_patterns("*.so", "__pycache__", ".*"))
        else:
            shutil.copy(ROOT / name, new)
    return Tree(tmp_path / "tree")


def names(wheel: Path) -> Iterable[str]:
    with ZipFile(wheel) as archive:
        return archive.namelist()


def wheel_file(wheel: Path) -> str:
    with ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/WHEEL"))
        return archive.read(name).decode()


def test_with_a_compiler_the_wheel_has_the_library_for_any_python_on_this_platform(
    tree: Tree, tmp_path: Path, program: Callable[[str], str]
) -> None:
    program("cc")

    wheel, said = tree.build("wheel")

    shutil.unpack_archive(wheel, tmp_path / "unpacked", "zip")
    _, python, abi, platform = wheel.stem.rsplit("-", 3)
    assert (python, abi) == ("py3", "none")
    assert platform != "any"
    assert f"Root-Is-Purelib: false\nTag: py3-none-{platform}\n" in wheel_file(wheel)
    assert look(tmp_path / "unpacked" / NATIVE, "").library is not None
    assert said == ""


@pytest.mark.parametrize("ignored", [True, False])
@pytest.mark.parametrize("environment", WITHOUT.values(), ids=WITHOUT)
def test_without_one_the_wheel_is_pure_and_it_is_said(
    tree: Tree, environment: dict[str, str], *, ignored: bool
) -> None:
    if not ignored:  # as in an image's build, which has no .gitignore
        (tree.root / ".gitignore").unlink()
    (tree.root / NATIVE / FILE).write_bytes(b"an earlier build's")

    wheel, said = tree.build("wheel", **environment)

    assert wheel.name.endswith("-py3-none-any.whl")
    assert "Root-Is-Purelib: true" in wheel_file(wheel)
    assert {"monitor/native/library.py", "monitor/native/version.c"} <= set(names(wheel))
    assert not [name for name in names(wheel) if name.endswith(".so")]
    assert "driftd: built without its native library, which only makes it faster: " in said
    assert (tree.root / NATIVE / FILE).exists()  # it may be in use


def test_sources_that_do_not_compile_are_said_by_the_compiler_too(
    tree: Tree, program: Callable[[str], str]
) -> None:
    program("cc")
    (tree.root / NATIVE / "broken.c").write_text("no C\n", "utf-8")

    wheel, said = tree.build("wheel")

    assert wheel.name.endswith("-py3-none-any.whl")
    assert "broken.c:1:" in said


def test_an_editable_install_has_the_library_beside_the_sources(
    tree: Tree, program: Callable[[str], str]
) -> None:
    program("cc")

    wheel, _ = tree.build("editable")

    assert look(tree.root / NATIVE, "").library is not None
    assert not [name for name in names(wheel) if name.endswith(".so")]


def test_an_editable_install_without_a_compiler_leaves_no_library_of_an_earlier_one(tree: Tree) -> None:
    (tree.root / NATIVE / FILE).write_bytes(b"an earlier build's")

    tree.build("editable", CC="false")

    assert not (tree.root / NATIVE / FILE).exists()


def test_the_source_archive_has_what_builds_it_and_no_library(
    tree: Tree, tmp_path: Path, program: Callable[[str], str]
) -> None:
    program("cc")
    tree.build("editable")

    sources, _ = tree.build("sdist")

    shutil.unpack_archive(sources, tmp_path, filter="data")
    unpacked = tmp_path / sources.name.removesuffix(".tar.gz")
    assert not (unpacked / NATIVE / FILE).exists()
    assert FILE in "".join(names(Tree(unpacked).build("wheel")[0]))
