"""What every command that reads a configuration shares."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from monitor.config import Config

config_option = click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path),
    default=Path("config.toml"),
    show_default=True,
    help="The configuration file.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="As JSON.")


def load_to_send(path: Path) -> "Config":
    """Load for a command that sends: with the secrets."""
    from monitor.core.judging import detector_names  # noqa: PLC0415 - polars and numpy only when needed
    from monitor.loading import load  # noqa: PLC0415 - as above

    return load(path, os.environ, detector_names())


def load_to_read(path: Path) -> "Config":
    """Load for a command that sends nothing, so that who asks needs no secret."""
    from monitor.core.judging import detector_names  # noqa: PLC0415 - as above
    from monitor.loading import load  # noqa: PLC0415 - as above

    return load(path, None, detector_names())
