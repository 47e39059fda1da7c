"""Take the Grafana dashboards out of what is installed."""

import json
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from monitor.errors import DriftdError

RUNBOOKS = "runbooks"
"""The dashboards' variable that says where the runbooks are."""


def write_dashboards(folder: Path, runbooks: str = "") -> list[Path]:
    """Write each dashboard's JSON into the folder, made if need be; return the files' paths.

    runbooks: the address of the folder with the runbooks' pages, for the links to them; "" leaves the
    placeholder. Files of the same name are replaced.
    """
    written = [(folder / name, text) for name, text in shipped_dashboards(runbooks)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in written:
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DriftdError(
            f"{folder}: cannot write the dashboards: {error.strerror}; choose another folder"
        ) from error
    return [path for path, _ in written]


def shipped_dashboards(runbooks: str = "") -> list[tuple[str, str]]:
    """Return each dashboard's file name and JSON, in the order of their names; runbooks as above."""
    address = _address(runbooks)
    shipped = sorted(
        (p for p in resources.files("dashboards").iterdir() if p.name.endswith(".json")), key=str
    )
    return [(each.name, _pointed(each.read_text(encoding="utf-8"), address)) for each in shipped]


def _address(runbooks: str) -> str:
    parts = urlsplit(runbooks)
    if runbooks and (parts.scheme not in {"http", "https"} or not parts.netloc):
        raise DriftdError(
            f"--runbooks: {runbooks!r} is no address; give one like https://wiki.example.org/runbooks"
        )
    return runbooks.rstrip("/")


def _pointed(text: str, address: str) -> str:
    if not address:
        return text
    dashboard: dict[str, Any] = json.loads(text)
    for variable in dashboard["templating"]["list"]:
        if variable["name"] == RUNBOOKS:
            variable["query"] = address
    return json.dumps(dashboard, indent=1, ensure_ascii=False) + "\n"
