"""What the benchmark ran on."""

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from monitor.native.library import found

PACKAGES = ("driftd", "polars", "numpy")


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine and the moment."""

    date: str
    processor: str
    cores: int
    memory_gb: float
    system: str
    versions: str
    load_before: str


def describe() -> Machine:
    """Look around."""
    libraries = (f"{name} {version(name)}" for name in PACKAGES)
    versions = (f"Python {platform.python_version()}", *libraries, f"kernels {found()}")
    return Machine(
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        processor=_field("/proc/cpuinfo", "model name"),
        cores=os.cpu_count() or 0,
        memory_gb=int(_field("/proc/meminfo", "MemTotal").split()[0]) * 1024 / 1e9,
        system=f"{platform.system()} {platform.release()}",
        versions=", ".join(versions),
        load_before=load(),
    )


def load() -> str:
    """Return the load average of 1, 5 and 15 minutes: above 0.2 or so before the start, it was not quiet."""
    return " / ".join(f"{value:.2f}" for value in os.getloadavg())


def _field(file: str, name: str) -> str:
    lines = Path(file).read_text("utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "0 unknown")
