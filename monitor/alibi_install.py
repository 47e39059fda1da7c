"""`driftd alibi install`: an environment of its own for alibi-detect, from the pinned requirements."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from monitor.errors import DriftdError

NEWEST = (3, 12)
"""The newest Python that the libraries alibi-detect needs exist for."""
PINS = "requirements"


def requirements(*, torch: bool) -> Path:
    """Return the pinned requirements: beside this program in a wheel, in requirements/ in a source tree."""
    name = "alibi-torch.txt" if torch else "alibi.txt"
    shipped = Path(__file__).parent / "alibi" / PINS / name
    return shipped if shipped.is_file() else Path(__file__).parents[1] / PINS / name


def commands(folder: Path, pins: Path, python: str, uv: str | None) -> list[list[str]]:
    """Return what to run: uv where there is one, else venv and pip.

    >>> for line in commands(Path("e"), Path("p.txt"), "python3.11", None):
    ...     print(*line)
    python3.11 -m venv --clear e
    e/bin/python -m pip install --quiet --require-hashes --requirement p.txt
    """
    inside = str(folder / "bin" / "python")
    if uv is None:
        install = [inside, "-m", "pip", "install", "--quiet", "--require-hashes", "--requirement", str(pins)]
        return [[python, "-m", "venv", "--clear", str(folder)], install]
    options = ["--quiet", "--python", inside, "--require-hashes", "--requirement", str(pins)]
    return [
        [uv, "venv", "--quiet", "--clear", "--python", python, str(folder)],
        [uv, "pip", "install", *options],
    ]


def install(folder: Path, python: str | None, tell: Callable[[str], None], *, torch: bool) -> Path:
    """Make the environment in the folder, and return its interpreter. Raises DriftdError.

    An environment that is there is replaced; any other folder is left alone.
    """
    folder = folder.absolute()
    if folder.exists() and not (folder / "pyvenv.cfg").is_file() and any(folder.iterdir()):
        raise DriftdError(f"{folder}: is there and is no environment; give another folder")
    if python is None and sys.version_info[:2] > NEWEST:
        ours, newest = (".".join(map(str, version[:2])) for version in (sys.version_info, NEWEST))
        raise DriftdError(f"alibi-detect has no Python {ours}; name one up to {newest} with --python")
    for command in commands(folder, requirements(torch=torch), python or sys.executable, shutil.which("uv")):
        tell(f"running {' '.join(command)}")
        _run(command)
    return folder / "bin" / "python"


def _run(command: Sequence[str]) -> None:
    try:
        subprocess.run(command, check=True)  # noqa: S603  the user asked for it; no shell
    except OSError as error:
        raise DriftdError(f"{command[0]}: cannot be run: {error.strerror}") from error
    except subprocess.CalledProcessError as error:
        raise DriftdError(f"{command[0]} ended with code {error.returncode}; see above") from error
