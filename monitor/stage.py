"""The demo's folder: configuration, reference, secret and the simulated service's logs."""

import base64
import secrets
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from monitor.errors import DriftdError
from monitor.service import LiveService
from monitor.simulate import DAY, HOUR, LiveModel, write_reference
from monitor.types import Micros

Say = Callable[[str], None]

HOST = "127.0.0.1"
PORTS: Mapping[str, int] = {"daemon": 9478, "receiver": 9479}
"""Of each program, while they are free."""
REFERENCE_DAYS = 40
HISTORY_DAYS = 730
"""How far in the past event time begins: rows ahead of the clock would be rejected."""


class Stage(Struct, frozen=True):
    """The folder made ready: where event time starts, on which port each program listens, the service."""

    folder: Path
    start: Micros
    ports: Mapping[str, int]
    service: LiveService

    @property
    def config(self) -> Path:
        """The daemon's configuration."""
        return self.folder / "config.toml"

    @property
    def secret(self) -> Path:
        """The file with the webhook's secret."""
        return self.folder / "secrets" / "training"


def prepare(folder: Path, seed: int, now: Micros, say: Say) -> Stage:
    """Fill the folder; the service's logs already have their first hour."""
    model, start = LiveModel(seed), (now // DAY - HISTORY_DAYS) * DAY
    ports = {name: choose_port(wanted, name, say) for name, wanted in PORTS.items()}
    stage = Stage(folder, start, ports, service=LiveService(model, folder / "logs", start))
    stage.config.write_text(configuration(ports), encoding="utf-8")
    _write_secret(stage.secret)
    rows = write_reference(model, folder / "reference.parquet", start - REFERENCE_DAYS * DAY, start)
    (folder / "logs").mkdir()
    stage.service.write(start + HOUR)
    say(f"wrote a reference of {REFERENCE_DAYS} calm days, {rows:,} rows, to {folder}")
    return stage


def moved(stage: Stage, name: str, say: Say) -> Stage:
    """Give a program another port, in the configuration too: someone has taken its own before it did."""
    ports = {**stage.ports, name: _another(stage.ports[name], name, say)}
    stage.config.write_text(configuration(ports), encoding="utf-8")
    return replace(stage, ports=ports)


def configuration(ports: Mapping[str, int]) -> str:
    """Return the demo's config.toml with these ports."""
    text = template().read_text(encoding="utf-8")
    for old, new in (
        (f'"{HOST}:{PORTS["daemon"]}"', f'"{HOST}:{ports["daemon"]}"'),
        (f'"http://{HOST}:{PORTS["receiver"]}/', f'"http://{HOST}:{ports["receiver"]}/'),
    ):
        if text.count(old) != 1:
            raise DriftdError(f"{template()}: {old} must stand there once, for the demo to set the port")
        text = text.replace(old, new)
    return text


def template() -> Path:
    """Return the demo's configuration: beside this file in a wheel, at the root of a source tree."""
    shipped = Path(__file__).with_name("demo.toml")
    return shipped if shipped.exists() else Path(__file__).parents[1] / "config.toml"


def choose_port(wanted: int, name: str, say: Say) -> int:
    """Return the wanted port, or a free one when it is taken."""
    return wanted if _bind(wanted) is not None else _another(wanted, name, say)


def _another(taken: int, name: str, say: Say) -> int:
    found = _bind(0)
    if found is None:
        raise DriftdError(f"{HOST} has no free port for the {name}; end another program and try again")
    say(f"port {taken} is taken: the {name} listens on {found} instead")
    return found


def _bind(port: int) -> int | None:
    """Bind for a moment and return the port (0: any free one), None when it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return None
        return int(probe.getsockname()[1])


def _write_secret(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    path.touch(mode=0o600)
    path.write_text("whsec_" + base64.b64encode(secrets.token_bytes(32)).decode() + "\n", encoding="ascii")
