"""The commands around episodes and the API: episodes, explain, ack, password."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from monitor.logs import log_problems_to_stderr
from monitor.options import config_option, load_to_read

SHORTEST = 8
PEM = click.Path(exists=True, dir_okay=False, path_type=Path)
VERIFIED = {"equal": 0, "not equal": 1, "partly": 3}
"""Exit codes of `explain --verify`; 2 is a wrong command line."""


@click.command()
@config_option
@click.option("--model", help="Only this model's.")
@click.option("--all", "also_over", is_flag=True, help="Those that are over too.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def episodes(path: Path, model: str | None, *, also_over: bool, as_json: bool) -> None:
    """List the episodes that fire, who looks after them and how retraining goes."""
    from monitor.episode_text import episode_lines  # noqa: PLC0415 - as in cli
    from monitor.inspecting import committed_episodes  # noqa: PLC0415 - as in cli

    found = committed_episodes(load_to_read(path), model, also_over=also_over)
    click.echo(json.dumps({"episodes": found}, indent=2) if as_json else "\n".join(episode_lines(found)))


@click.command()
@config_option
@click.argument("episode", required=False)
@click.option(
    "--record", "file", type=click.Path(path_type=Path), help="What --json wrote; needs nothing else."
)
@click.option(
    "--verify",
    is_flag=True,
    help="Compute the verdict again: exit 1 if it is another one, 3 if in part only.",
)
@click.option("--json", "as_json", is_flag=True, help="As JSON, with the whole audit record.")
@click.option(
    "--rows",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write the rows it was computed from into this folder; with --record, take them from there.",
)
def explain(
    path: Path, episode: str | None, file: Path | None, rows: Path | None, *, verify: bool, as_json: bool
) -> None:
    """Say what changed in EPISODE, where, since when and why, and compute its verdict again."""
    from monitor.explain_text import explain_lines  # noqa: PLC0415 - as in cli
    from monitor.explaining import explained, explained_file  # noqa: PLC0415 - as in cli

    log_problems_to_stderr()  # as alibi-detect's licence: the output is for programs too
    if (episode is None) is (file is None):
        raise click.UsageError("give EPISODE, as `driftd episodes` names it, or --record FILE")
    if file is not None:
        found = explained_file(file, check=verify, rows=rows)
    else:
        found = explained(load_to_read(path), episode or "", check=verify, rows=rows)
    click.echo(json.dumps(found, indent=2) if as_json else "\n".join(explain_lines(found)))
    if verify:
        click.get_current_context().exit(VERIFIED[found["verified"]["says"]])


@click.command()
@config_option
@click.argument("episode")
@click.option("--who", required=True, help="Who looks after it.")
@click.option("--why", required=True, help="What it is, or what is done.")
@click.option("--cert", type=PEM, help="A certificate to show, where the daemon asks clients for one.")
@click.option("--key", type=PEM, help="The certificate's key, where --cert does not hold it.")
def ack(path: Path, episode: str, **said: Any) -> None:  # noqa: ANN401 - who, why: str; cert, key: Path or None
    """Tell the running daemon that somebody looks after EPISODE."""
    from monitor.asking import Shown, acknowledge  # noqa: PLC0415 - as in cli

    cert, key = said.pop("cert"), said.pop("key")
    if key is not None and cert is None:
        raise click.UsageError("--key needs --cert")
    shown = Shown(cert, key) if cert is not None else None
    click.echo(acknowledge(load_to_read(path), os.environ, episode, said, shown))


@click.command()
@click.argument("name")
def password(name: str) -> None:
    """Print NAME's line for the users' file, with the hash of a password from the terminal or from stdin."""
    from monitor.server.passwords import USER, hashed  # noqa: PLC0415 - as in cli

    if USER.fullmatch(name) is None:
        raise click.UsageError("NAME may have up to 64 letters, digits, dots, dashes, underscores and @")
    if sys.stdin.isatty():
        secret = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        secret = sys.stdin.readline().rstrip("\r\n")
    if len(secret) < SHORTEST:
        raise click.UsageError(f"a password needs at least {SHORTEST} characters")
    click.echo(f"{name}:{hashed(secret)}")
