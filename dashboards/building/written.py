"""The files that the dashboards are kept in."""

from collections.abc import Mapping

from dashboards.building.boards import as_json
from dashboards.building.daemon import daemon
from dashboards.building.fleet import fleet
from dashboards.building.model import model


def files() -> Mapping[str, str]:
    """Return each file's name and text, as they are committed beside this folder."""
    return {
        f"{name}.json": as_json(made())
        for name, made in (("fleet", fleet), ("model", model), ("daemon", daemon))
    }
