"""`driftd dashboards`: the Grafana dashboards, as files or straight into Grafana."""

import os
from pathlib import Path

import click

from monitor.options import config_option, load_to_read

runbooks_option = click.option("--runbooks", default="", help="The address of your copy of docs/runbooks.")


@click.group()
def dashboards() -> None:
    """Grafana dashboards."""


@dashboards.command("write")
@click.argument("folder", type=click.Path(path_type=Path))
@runbooks_option
def write_files(folder: Path, runbooks: str) -> None:
    """Write the dashboards' JSON into FOLDER, to be imported into Grafana or provisioned."""
    from monitor.dashboards import write_dashboards  # noqa: PLC0415 - only when needed

    click.echo("\n".join(str(path) for path in write_dashboards(folder, runbooks)))


@dashboards.command("push")
@config_option
@runbooks_option
def push(path: Path, runbooks: str) -> None:
    """Bring the dashboards into the Grafana of [exporters.grafana]; a second time nothing changes."""
    from monitor.grafana import push_dashboards, with_secrets  # noqa: PLC0415 - as above

    for line in push_dashboards(with_secrets(load_to_read(path), path, os.environ), runbooks):
        click.echo(line)
