"""A real Prometheus and Alertmanager on the shipped rules and examples, and who gets their notifications.

What takes minutes there takes seconds here: `quick` shortens the durations of the shipped files by replacing
text, and fails when one of them is not there. Nothing else of them is changed.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from monitor.rule_files import write_rules
from tests.ports import free_port
from tests.programs import Program

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
Find = Callable[[str], str]
Named = tuple[str, str]
"""An alert's name and version."""

WIKI = "https://wiki.example.org/driftd"
RULES: Mapping[str, Mapping[str, str]] = {
    "performance.yml": {
        "for: 1m": "for: 0s",
        "for: 5m": "for: 4s",
        "keep_firing_for: 15m": "keep_firing_for: 2s",
    },
    "drift.yml": {"for: 5m": "for: 4s", "keep_firing_for: 15m": "keep_firing_for: 2s"},
    "quality.yml": {"for: 1m": "for: 0s", "keep_firing_for: 15m": "keep_firing_for: 2s"},
    "daemon.yml": {'{job="driftd"}[10m]': '{job="driftd"}[4s]', "for: 1m": "for: 0s"},
}
"""What is shortened in the shipped rules; what waits longer has nothing to say in these tests."""
PROMETHEUS = {
    "scrape_interval: 15s": "scrape_interval: 500ms",
    "evaluation_interval: 15s": "evaluation_interval: 500ms",
}
ALERTMANAGER = {
    "group_wait: 30s": "group_wait: 2s",
    "group_wait: 10s": "group_wait: 2s",
    "group_interval: 5m": "group_interval: 1s",
    "      active_time_intervals: [office-hours]": "      # at any hour, because tests run at any hour;",
}


def quick(text: str, durations: Mapping[str, str]) -> str:
    """Replace the durations, each of which must be there."""
    for old, new in durations.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


@dataclass
class Receiver:
    """An HTTP server that takes Alertmanager's notifications: path (pages or tickets) and body."""

    got: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    server: ThreadingHTTPServer = field(init=False)

    def __enter__(self) -> Self:
        got = self.got

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                got.append((self.path.strip("/"), json.loads(body)))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as it is called there
                del format, args

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def alerts(self, kind: str, status: str) -> list[dict[str, Any]]:
        """Return every alert of this status that came in a notification of pages or tickets, in order."""
        told = [body["alerts"] for path, body in list(self.got) if path == kind]
        return [alert for each in told for alert in each if alert["status"] == status]

    @property
    def open(self) -> set[Named]:
        """What was told to fire, and not yet that it is over."""
        last = {named(a["labels"]): a["status"] for _, body in list(self.got) for a in body["alerts"]}
        return {name for name, status in last.items() if status == "firing"}


@dataclass(frozen=True, slots=True)
class Watch:
    """Prometheus and Alertmanager, running; addresses as host:port."""

    prometheus: str
    alertmanager: str
    receiver: Receiver

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return an instant query's result."""
        found: list[dict[str, Any]] = ask(self.prometheus, f"/api/v1/query?query={quote(expression)}")[
            "data"
        ]["result"]
        return found

    @property
    def firing(self) -> set[Named]:
        """What fires in Prometheus."""
        return {named(each["metric"]) for each in self.query('ALERTS{alertstate="firing"}')}

    @property
    def inhibited(self) -> set[Named]:
        """What Alertmanager holds back because something else explains it."""
        found = ask(self.alertmanager, "/api/v2/alerts")
        return {named(alert["labels"]) for alert in found if alert["status"]["inhibitedBy"]}

    def is_quiet(self) -> bool:
        """Tell whether nothing fires, and everybody who was told something was told that it is over."""
        return not self.firing and not ask(self.alertmanager, "/api/v2/alerts") and not self.receiver.open


def named(labels: Mapping[str, str]) -> Named:
    """Return an alert's name and version."""
    return labels["alertname"], labels.get("version", "")


def ask(address: str, path: str) -> Any:  # noqa: ANN401 - JSON
    """Return the JSON that an address answers."""
    connection = HTTPConnection(address, timeout=30)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    assert answer.status == 200, text
    return json.loads(text)


@contextmanager
def watched(folder: Path, daemon: str, program: Find) -> Iterator[Watch]:
    """Run both on the shipped files, shortened; daemon: its address, as host:port."""
    prometheus, alertmanager = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    with ExitStack() as running:
        receiver = running.enter_context(Receiver())
        _write(folder, receiver.address, {"127.0.0.1:9093": alertmanager, "127.0.0.1:9478": daemon})
        commands = {
            "prometheus": [
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'tsdb'}",
                f"--web.listen-address={prometheus}",
            ],
            "prometheus-alertmanager": [
                f"--config.file={folder / 'alertmanager.yml'}",
                f"--storage.path={folder / 'silences'}",
                f"--web.listen-address={alertmanager}",
                "--cluster.listen-address=",
            ],
        }
        started = {
            name: running.enter_context(Program([program(name), *arguments], folder / f"{name}.log"))
            for name, arguments in commands.items()
        }
        started["prometheus"].wait_for("Server is ready to receive web requests")
        started["prometheus-alertmanager"].wait_for("Listening on")
        yield Watch(prometheus, alertmanager, receiver)


def _write(folder: Path, receiver: str, addresses: Mapping[str, str]) -> None:
    for path in write_rules(folder / "driftd", WIKI, "https://grafana.example.org"):
        path.write_text(quick(path.read_text(), RULES[path.name]))
    text = quick((DEPLOY / "prometheus.yml").read_text(), {**PROMETHEUS, **addresses})
    (folder / "prometheus.yml").write_text(text)
    receivers = {
        "https://pager.example.org/driftd": f"{receiver}/pages",
        "https://tickets.example.org/driftd": f"{receiver}/tickets",
    }
    text = quick((DEPLOY / "alertmanager.yml").read_text(), {**ALERTMANAGER, **receivers})
    (folder / "alertmanager.yml").write_text(text)
