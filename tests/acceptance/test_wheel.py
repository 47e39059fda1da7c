"""What a stranger installs: the wheel, unpacked and run without the source tree."""

import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

pytestmark = pytest.mark.acceptance
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel and unpack it."""
    made, folder = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("unpacked")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(made)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = made.glob("*.whl")
    with ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_the_dashboards_are_in_it_and_what_builds_them_is_not(unpacked: Path) -> None:
    assert {path.name for path in (unpacked / "dashboards").iterdir()} == {
        "__init__.py",
        "daemon.json",
        "fleet.json",
        "model.json",
    }


def test_the_command_takes_them_out(unpacked: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "monitor.cli", "dashboards", "write", str(tmp_path / "grafana")]
    environment = {**os.environ, "PYTHONPATH": str(unpacked), "PYTHONDONTWRITEBYTECODE": "1"}

    said = subprocess.run(
        command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
    ).stdout

    written = sorted((tmp_path / "grafana").iterdir())
    assert said.splitlines() == [str(path) for path in written]
    assert [path.read_bytes() for path in written] == [
        (ROOT / "dashboards" / path.name).read_bytes() for path in written
    ]


def test_alibi_detects_program_and_pins_are_in_it_and_alibi_detect_is_not(unpacked: Path) -> None:
    shipped = unpacked / "monitor" / "alibi"
    (metadata,) = unpacked.glob("driftd-*.dist-info/METADATA")

    assert {"worker.py", "judges.py"} <= {path.name for path in shipped.iterdir()}
    for name in ("alibi.txt", "alibi-torch.txt"):
        assert (shipped / "requirements" / name).read_bytes() == (ROOT / "requirements" / name).read_bytes()
    assert "alibi" not in metadata.read_text(encoding="utf-8").partition("\n\n")[0]
