"""A real Prometheus that scrapes a daemon, and what it answers."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.ports import free_port
from tests.programs import Program

CONFIG = """
global:
  scrape_interval: INTERVAL
scrape_configs:
  - job_name: driftd
    static_configs:
      - targets: ["ADDRESS"]
MORE"""


@dataclass(frozen=True, slots=True)
class Prometheus:
    """One that runs, host:port."""

    address: str

    def ask(self, path: str, **parameters: str | float) -> Any:  # noqa: ANN401 - JSON
        """Return the data of an answer of its API, which must be a success."""
        connection = HTTPConnection(self.address, timeout=30)
        try:
            connection.request("GET", f"/api/v1/{path}?{urlencode(parameters)}")
            answer = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        assert answer["status"] == "success", (parameters, answer)
        return answer["data"]

    def query(self, expression: str, **when: float) -> list[dict[str, Any]]:
        """Return the series of an expression now, or `start`, `end` and `step` seconds apart."""
        path = "query_range" if when else "query"
        found: list[dict[str, Any]] = self.ask(path, query=expression, **when)["result"]
        return found

    def values(self, label: str, selector: str) -> list[str]:
        """Return the values of a label among the series that a selector finds."""
        found: list[str] = self.ask(f"label/{label}/values", **{"match[]": selector})
        return found


@contextmanager
def scraping(
    program: str, target: str, folder: Path, *options: str, interval: str = "500ms", more: str = ""
) -> Iterator[Prometheus]:
    """Run a Prometheus that scrapes the target twice a second, or as said; its data is in the folder.

    more: further lines of the scrape's configuration, indented by four.
    """
    config = CONFIG.replace("ADDRESS", target).replace("INTERVAL", interval).replace("MORE", more)
    (folder / "prometheus.yml").write_text(config)
    address = f"127.0.0.1:{free_port()}"
    command = [
        program,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        *options,
    ]
    with Program(command, folder / "output") as running:
        running.wait_for("Server is ready to receive web requests")
        yield Prometheus(address)
        assert running.stop() == 0
