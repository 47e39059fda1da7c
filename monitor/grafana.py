"""What `driftd dashboards push` brings into the configured Grafana."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from exporters.grafana import GrafanaError
from exporters.grafana_push import Done, Wish, push
from monitor.clients import server_of
from monitor.complaints import Complaint, write
from monitor.config import Config
from monitor.dashboards import shipped_dashboards
from monitor.errors import ConfigError, DriftdError
from monitor.grafana_token import AT, checked, with_token


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
        with server_of(grafana).connected() as connection:
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
