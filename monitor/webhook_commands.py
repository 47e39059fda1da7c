"""`driftd webhooks`: what waits, what was given up, what every request came to; and trying again."""

import json
from pathlib import Path

import click

from monitor.clock import SystemClock
from monitor.options import config_option, json_option, load_to_read, load_to_send


@click.group()
def webhooks() -> None:
    """Retraining webhooks: what waits, what was given up, what was sent."""


@webhooks.command("list")
@config_option
@click.option(
    "--state", type=click.Choice(["pending", "delivered", "dead"]), help="Only what stands like this."
)
@json_option
def list_notes(path: Path, state: str | None, *, as_json: bool) -> None:
    """List the webhooks that are known: state, attempts, age, next attempt, last outcome."""
    from monitor.webhook_listing import listed, listing_text  # noqa: PLC0415 - polars only when needed

    found = listed(load_to_read(path), SystemClock(), state)
    click.echo(json.dumps(found, indent=2) if as_json else listing_text(found))


@webhooks.command("show")
@config_option
@click.argument("id_", metavar="ID")
@json_option
def show_note(path: Path, id_: str, *, as_json: bool) -> None:
    """Show one webhook: its body, and what every attempt came to."""
    from monitor.webhook_listing import shown, shown_text  # noqa: PLC0415 - as above

    found = shown(load_to_read(path), SystemClock(), id_)
    click.echo(json.dumps(found, indent=2) if as_json else shown_text(found))


@webhooks.command("retry")
@config_option
@click.argument("id_", metavar="ID")
def retry_note(path: Path, id_: str) -> None:
    """Send a webhook that waits or was given up at once, with the same id."""
    from monitor.webhook_asking import ask_again  # noqa: PLC0415 - as above

    click.echo(ask_again(load_to_read(path), SystemClock(), id_))


@webhooks.command("test")
@config_option
@click.argument("name")
def send_test(path: Path, name: str) -> None:
    """Send one event, marked as a test, to [webhooks.NAME] now, and say what came of it."""
    from monitor.webhook_asking import try_out  # noqa: PLC0415 - as above

    click.echo(try_out(load_to_send(path), SystemClock(), name))


@webhooks.command("audit")
@config_option
def print_audit(path: Path) -> None:
    """Print what every request came to, oldest first, one JSON object a line."""
    from monitor.webhook_listing import audit  # noqa: PLC0415 - as above

    for line in audit(load_to_read(path)):
        click.echo(json.dumps(line))
