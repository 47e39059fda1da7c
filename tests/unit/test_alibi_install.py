"""`driftd alibi install`, with programs that stand in for uv and pip: nothing is fetched."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from monitor.alibi_install import commands, install, requirements
from monitor.cli import main
from monitor.errors import DriftdError


def program(folder: Path, name: str, text: str) -> Path:
    made = folder / name
    made.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    made.chmod(0o755)
    return made


def test_without_a_word_on_the_licence_it_says_it_and_does_nothing(tmp_path: Path) -> None:
    ended = CliRunner().invoke(main, ["alibi", "install", str(tmp_path / "env")])

    assert ended.exit_code == 2
    assert "Business Source License" in ended.output
    assert "--accept-licence" in ended.output
    assert not (tmp_path / "env").exists()


@pytest.mark.parametrize("torch", [False, True])
def test_the_pins_are_those_of_the_makefile_and_have_hashes(*, torch: bool) -> None:
    text = requirements(torch=torch).read_text(encoding="utf-8")

    assert "alibi-detect==0.13" in text
    assert ("torch==" in text) is torch
    assert text.count("--hash=sha256:") >= text.count("==")


def test_uv_makes_the_environment_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log"
    program(tmp_path, "uv", f'echo "$@" >> {log}')
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    arguments = ["alibi", "install", str(tmp_path / "env"), "--accept-licence", "--python", "python3.11"]
    ended = CliRunner().invoke(main, arguments)

    assert ended.exit_code == 0, ended.output
    first, second = log.read_text(encoding="utf-8").splitlines()
    inside = tmp_path / "env" / "bin" / "python"
    assert first == f"venv --quiet --clear --python python3.11 {tmp_path / 'env'}"
    assert (
        second
        == f"pip install --quiet --python {inside} --require-hashes --requirement {requirements(torch=False)}"
    )
    assert f'python = "{inside}"' in ended.output


def test_an_installer_that_fails_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "uv", "exit 3")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    said: list[str] = []

    with pytest.raises(DriftdError, match="ended with code 3; see above"):
        install(tmp_path / "env", "python3.11", said.append, torch=False)
    assert len(said) == 1


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("x", encoding="utf-8")

    with pytest.raises(DriftdError, match="is there and is no environment"):
        install(tmp_path, "python3.11", print, torch=False)
    assert (tmp_path / "precious").exists()


def test_pip_does_without_uv() -> None:
    made = commands(Path("e"), Path("p"), "python3.12", None)

    assert [line[:3] for line in made] == [["python3.12", "-m", "venv"], ["e/bin/python", "-m", "pip"]]
