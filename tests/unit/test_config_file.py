"""When a configuration's file is read again."""

import os
from pathlib import Path

import pytest

from monitor.config import Config, Model, Reference, Source
from monitor.reloading import ConfigFile

CONFIG = Config(
    models=(
        Model(
            name="m",
            reference=Reference(path=Path("/r.csv")),
            sources=(Source(role="predictions", type="files", path="/x"),),
        ),
    )
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "config.toml"
    found.write_text("first")
    return found


@pytest.fixture
def file(path: Path) -> ConfigFile:
    made = ConfigFile(path, lambda _: CONFIG)
    made.read()
    return made


def looks(file: ConfigFile, count: int) -> list[bool]:
    return [file.wanted(watch=True) for _ in range(count)]


def test_a_file_that_stays_is_not_wanted(file: ConfigFile) -> None:
    assert looks(file, 3) == [False, False, False]


def test_a_changed_file_is_wanted_when_it_was_the_same_at_two_looks(file: ConfigFile, path: Path) -> None:
    path.write_text("second")
    assert looks(file, 2) == [False, True]

    file.read()
    assert looks(file, 3) == [False, False, False]


def test_a_file_that_is_still_being_written_is_waited_for(file: ConfigFile, path: Path) -> None:
    for size in range(3):
        path.write_text("x" * size)
        assert not file.wanted(watch=True)
    assert looks(file, 2) == [True, False]


def test_a_change_is_wanted_once_whatever_became_of_it(file: ConfigFile, path: Path) -> None:
    path.write_text("second")
    assert looks(file, 4) == [False, True, False, False]


def test_a_touched_file_is_not_wanted(file: ConfigFile, path: Path) -> None:
    os.utime(path, (1, 1))
    assert looks(file, 3) == [False, False, False]


def test_a_file_put_in_its_place_is_wanted_and_so_is_one_that_is_gone(file: ConfigFile, path: Path) -> None:
    other = path.with_name("other")
    other.write_text("third")
    other.replace(path)
    assert looks(file, 2) == [False, True]

    path.unlink()
    assert looks(file, 3) == [False, True, False]


def test_a_link_that_points_elsewhere_is_a_change(tmp_path: Path) -> None:
    """A mounted ConfigMap of Kubernetes is changed so."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.toml").write_text(name)
    link = tmp_path / "now"
    link.symlink_to("one")
    file = ConfigFile(link / "config.toml", lambda _: CONFIG)
    file.read()
    link.unlink()
    link.symlink_to("two")

    assert looks(file, 2) == [False, True]


def test_a_change_while_it_is_read_is_another_change(path: Path) -> None:
    def read(_: Path) -> Config:
        path.write_text("meanwhile")
        return CONFIG

    file = ConfigFile(path, read)
    file.read()

    assert looks(file, 2) == [False, True]


def test_who_asks_is_answered_once_and_whether_or_not_the_file_is_watched(file: ConfigFile) -> None:
    file.ask()
    file.ask()
    assert file.wanted(watch=False)

    file.read()
    assert not file.wanted(watch=False)


def test_a_file_that_nobody_watches_may_change(file: ConfigFile, path: Path) -> None:
    path.write_text("second")

    assert not any(file.wanted(watch=False) for _ in range(3))
