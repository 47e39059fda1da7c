"""`driftd alibi`: setting up alibi-detect, which is no part of driftd."""

from pathlib import Path

import click


@click.group()
def alibi() -> None:
    """alibi-detect, in an environment of its own."""


@alibi.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path(".envs/alibi"))
@click.option("--torch", is_flag=True, help="With PyTorch, which some detectors need: gigabytes.")
@click.option("--python", help="The interpreter to build it on, up to 3.12; else driftd's own.")
@click.option("--accept-licence", is_flag=True, help="You have read the licence, and may use it.")
def install(folder: Path, python: str | None, *, torch: bool, accept_licence: bool) -> None:
    """Make an environment with alibi-detect in FOLDER (.envs/alibi), from the package index."""
    from monitor.alibi_asking import LICENCE  # noqa: PLC0415 - slow imports only when needed
    from monitor.alibi_install import install as make  # noqa: PLC0415 - as above

    click.echo(LICENCE)
    if not accept_licence:
        raise click.UsageError("if that is fine for your use, say so with --accept-licence")
    made = make(folder, python, click.echo, torch=torch)
    click.echo(f'done; in the configuration:\n\n[alibi]\npython = "{made}"')
