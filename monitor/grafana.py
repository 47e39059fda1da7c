"""The configured Grafana: who is told of episodes, and what `driftd dashboards push` brings there."""

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

from exporters.annotations import Annotator
from exporters.grafana import Grafana as Server
from exporters.grafana import GrafanaError
from exporters.grafana_push import Done, Wish, push
from monitor.complaints import Complaint, write
from monitor.config import Config
from monitor.core.annotations import ENDPOINT, notes, still_open
from monitor.core.outbox import Note
from monitor.core.plan import Plan
from monitor.core.state import ModelState
from monitor.dashboards import shipped_dashboards
from monitor.errors import ConfigError, DriftdError
from monitor.grafana_table import Grafana
from monitor.grafana_token import AT, checked, current_token, with_token
from monitor.logs import logger
from monitor.outgoing import Outbox
from monitor.worker import Announce


def annotated(config: Config) -> Mapping[str, Grafana]:
    """Return the Grafana that is told of episodes, by what the outbox calls it; nothing where none is."""
    grafana = config.exporters.grafana
    return {ENDPOINT: grafana} if grafana is not None and grafana.annotations else {}


def announcer(config: Config) -> Announce | None:
    """Return what makes notes of episodes, None where nobody is told."""
    return notes if annotated(config) else None


def annotator(grafana: Grafana) -> Annotator:
    """Return what sends the notes there, and logs what Grafana has against them."""
    log = logger("grafana")
    return Annotator(_server(grafana), lambda says: log.warning("annotation not taken", error=says))


def untold(models: Iterable[tuple[Plan, ModelState]], outbox: Outbox) -> list[Note]:
    """Return notes of the episodes that go on and of which the outbox knows nothing: they began untold."""
    return [
        note for plan, state in models for note in still_open(plan, state) if note.id not in outbox.queued
    ]


def with_secrets(config: Config, path: Path, environ: Mapping[str, str]) -> Config:
    """Return the configuration with Grafana's token, the only secret that a push needs.

    path: the configuration's file, for the complaints. Raises ConfigError without a Grafana or its token.
    """
    if config.exporters.grafana is None:
        raise ConfigError([write(str(path), Complaint(AT, "is missing; add url and token_file there"))])
    token, wrong = checked(config, environ)
    if wrong:
        raise ConfigError([write(str(path), complaint) for complaint in wrong])
    return config.model_copy(update={"exporters": with_token(config.exporters, token)})


def push_dashboards(config: Config, runbooks: str = "") -> Iterator[str]:
    """Bring the dashboards, their folder and their data source into the configured Grafana; say what changed.

    runbooks: for the links to them, instead of the configured address. Raises DriftdError with one line.
    """
    grafana = config.exporters.grafana
    if grafana is None:
        return
    boards = [json.loads(text) for _, text in shipped_dashboards(runbooks or grafana.runbooks)]
    wish = Wish(boards, grafana.folder, grafana.datasource, grafana.datasource_url)
    changes = set()
    try:
        with _server(grafana).connected() as connection:
            for done in push(connection, wish):
                changes.add(done.change)
                yield _line(grafana.url, done)
    except GrafanaError as error:
        raise DriftdError(str(error)) from error
    if not changes & {"created", "replaced"}:
        yield "nothing changed"


def _line(url: str, done: Done) -> str:
    shown = f"  {url.rstrip('/')}{_below(url, done.path)}" if done.path else ""
    return f"{done.what}: {done.change}{shown}"


def _below(url: str, path: str) -> str:
    """Return a path of Grafana's without the prefix that it is served under, which stands in the URL."""
    prefix = "/" + url.partition("://")[2].partition("/")[2].strip("/")
    return path.removeprefix(prefix) if prefix != "/" else path


def _server(grafana: Grafana) -> Server:
    return Server(grafana.url, partial(current_token, grafana), grafana.timeout.total_seconds())
