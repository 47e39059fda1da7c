"""The demo's folder: configuration, reference, secret and the simulated service's logs."""

import base64
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from monitor.errors import DriftdError
from monitor.service import LiveService
from monitor.simulate import DAY, HOUR, LiveModel, write_reference
from monitor.types import Micros

Say = Callable[[str], None]

HOST = "127.0.0.1"
DAEMON_PORT = 9478
RECEIVER_PORT = 9479
REFERENCE_DAYS = 40
HISTORY_DAYS = 730
"""How far in the past event time begins: rows ahead of the clock would be rejected."""


@dataclass(frozen=True, slots=True)
class Stage:
    """The folder made ready: where event time starts, on which ports the programs listen, the service."""

    folder: Path
    start: Micros
    daemon_port: int
    receiver_port: int
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
    stage = Stage(
        folder,
        start,
        daemon_port=choose_port(DAEMON_PORT, "the daemon", say),
        receiver_port=choose_port(RECEIVER_PORT, "the receiver", say),
        service=LiveService(model, folder / "logs", start),
    )
    stage.config.write_text(configuration(stage.daemon_port, stage.receiver_port), encoding="utf-8")
    _write_secret(stage.secret)
    rows = write_reference(model, folder / "reference.parquet", start - REFERENCE_DAYS * DAY, start)
    (folder / "logs").mkdir()
    stage.service.write(start + HOUR)
    say(f"wrote a reference of {REFERENCE_DAYS} calm days, {rows:,} rows, to {folder}")
    return stage


def configuration(daemon_port: int, receiver_port: int) -> str:
    """Return the demo's config.toml with these ports."""
    text = template().read_text(encoding="utf-8")
    for old, new in (
        (f'"{HOST}:{DAEMON_PORT}"', f'"{HOST}:{daemon_port}"'),
        (f'"http://{HOST}:{RECEIVER_PORT}/', f'"http://{HOST}:{receiver_port}/'),
    ):
        if text.count(old) != 1:
            raise DriftdError(f"{template()}: {old} must stand there once, for the demo to set the port")
        text = text.replace(old, new)
    return text


def template() -> Path:
    """Return the demo's configuration: beside this file in a wheel, at the root of a source tree."""
    shipped = Path(__file__).with_name("demo.toml")
    return shipped if shipped.exists() else Path(__file__).parents[1] / "config.toml"


def choose_port(wanted: int, user: str, say: Say) -> int:
    """Return the wanted port, or a free one when it is taken."""
    found = _bind(wanted)
    if found is None:
        found = _bind(0)
        say(f"port {wanted} is taken: {user} listens on {found} instead")
    if found is None:
        raise DriftdError(f"{HOST} has no free port for {user}; end another program and try again")
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
