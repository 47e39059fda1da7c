"""The commands: the only place that prints or exits."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from monitor.alibi_commands import alibi
from monitor.clock import SystemClock
from monitor.dashboard_commands import dashboards
from monitor.errors import ConfigError, DriftdError
from monitor.logs import log_problems_to_stderr, log_to_stderr, logger
from monitor.memory import keep_freed, lasting, share_freed
from monitor.native.library import found
from monitor.options import config_option, json_option, load_to_read, load_to_send
from monitor.signals import RELOAD, STOP, on_signals
from monitor.web_commands import ack, episodes, explain, password
from monitor.webhook_commands import webhooks

MISTAKE = 2
FAILURE = 1


class Commands(click.Group):
    """Turns driftd's errors into one line each on stderr, and the exit code."""

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; a wrong configuration exits with 2, any other failure with 1."""
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            click.echo(str(error), err=True)
            ctx.exit(MISTAKE)
        except DriftdError as error:
            click.echo(f"driftd: {error}", err=True)
            ctx.exit(FAILURE)


@click.group(
    cls=Commands,
    commands=[ack, alibi, dashboards, episodes, explain, password, webhooks],
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="driftd")
def main() -> None:
    """Watch models in production: prediction logs in; drift, metrics and retraining webhooks out."""


@main.command()
@config_option
@click.option("--once", is_flag=True, help="Read all there is, deliver what is due, print a summary, exit.")
@click.option("--flush", is_flag=True, help="With --once: close every window, whatever the watermark.")
def run(path: Path, *, once: bool, flush: bool) -> None:
    """Run the daemon until SIGTERM or Ctrl-C; SIGHUP reloads the configuration."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is there; the daemon has threads enough
    share_freed()
    with lasting():
        from monitor.daemon import Daemon  # noqa: PLC0415 - slow imports, here and below: only when needed
        from monitor.reloading import ConfigFile  # noqa: PLC0415 - as above
        from monitor.store.sqlite import SqliteStore  # noqa: PLC0415 - as above
        from monitor.supervisor import Supervisor  # noqa: PLC0415 - as above

    if flush and not once:
        raise click.UsageError("--flush closes windows that may still get rows; it needs --once")
    source = ConfigFile(path, load_to_send)
    config = source.read()
    keep_freed()
    log_to_stderr()
    _say_kernels()
    if not once:
        on_signals(source.ask, *RELOAD)  # before what takes long: it would end the start
    store = SqliteStore(config.daemon.state)
    try:
        daemon = Daemon(config, store, SystemClock(), Supervisor(os.environ), None if once else source)
    except BaseException:
        store.close()
        raise
    on_signals(daemon.stop, *STOP, *(RELOAD if once else ()))
    try:
        if once:
            _run_once(daemon, flush=flush)
        else:
            daemon.run(lambda address: logger("daemon").info("listening", address=address))
    finally:
        ended = daemon.close()
    if not ended:  # the state is closed; a thread that waits for a receiver must not hold up the exit
        sys.stdout.flush()
        os._exit(0)


def _say_kernels() -> None:
    """Log which kernels count, and why no faster ones do."""
    kernels = found()
    log = logger("daemon")
    (log.warning if kernels.broken else log.info)("kernels", kernels=str(kernels))


def _run_once(daemon, *, flush: bool) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
    daemon.registries.look_and_wait()
    summary = daemon.ingest()
    if not summary.problem and flush:
        summary = daemon.flush()
    daemon.deliver_and_wait()
    click.echo(daemon.views.status_text())
    if summary.problem:
        raise DriftdError(summary.problem)


@main.command()
@config_option
def check(path: Path) -> None:
    """Validate the configuration, open sources and reference, say what will be watched."""
    from monitor.checking import describe  # noqa: PLC0415 - as above

    click.echo(describe(load_to_send(path)))


@main.command()
def schema() -> None:
    """Print the configuration's JSON schema."""
    from monitor.config import json_schema  # noqa: PLC0415 - as above

    click.echo(json.dumps(json_schema(), indent=2))


@main.command()
def detectors() -> None:
    """List the detectors that a monitor may name."""
    from monitor.checking import detector_lines  # noqa: PLC0415 - as above

    click.echo("\n".join(detector_lines()))


@main.command()
@config_option
@click.option("--openmetrics", is_flag=True, help="OpenMetrics instead of Prometheus text.")
def metrics(path: Path, *, openmetrics: bool) -> None:
    """Print the metrics of the last committed state, whether or not a daemon runs."""
    from monitor.inspecting import committed_metrics  # noqa: PLC0415 - as above

    accept = "application/openmetrics-text" if openmetrics else ""
    click.echo(committed_metrics(load_to_read(path), SystemClock(), accept), nl=False)


@main.command()
@config_option
@json_option
def status(path: Path, *, as_json: bool) -> None:
    """Say how the models are doing: windows, states, lag, loss account, outbox."""
    from monitor.inspecting import committed_status  # noqa: PLC0415 - as above
    from monitor.status import as_text  # noqa: PLC0415 - as above

    document = committed_status(load_to_read(path))
    click.echo(json.dumps(document, indent=2) if as_json else as_text(document))


@main.command()
@config_option
@click.option("--model", help="Only this model.")
@click.option("--segments", is_flag=True, help="The segments too, not only all rows.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, with every metric and its interval.")
def performance(path: Path, model: str | None, *, segments: bool, as_json: bool) -> None:
    """Say how performance went: a line for each window, with realised and estimated values."""
    from monitor.inspecting import committed_performance  # noqa: PLC0415 - as above
    from monitor.performance_history import history_text  # noqa: PLC0415 - as above

    document = committed_performance(load_to_read(path), model, segments=segments)
    click.echo(json.dumps(document, indent=2) if as_json else history_text(document))


@main.command()
@config_option
@click.option("--list", "listing", is_flag=True, help="List the references stored so far.")
@click.option("--model", help="Which model gets a new reference.")
@click.option("--from", "begin", help="Start of the reference in event time, ISO-8601.")
@click.option("--to", "end", help="End of the reference in event time, ISO-8601.")
def baseline(path: Path, model: str | None, begin: str | None, end: str | None, *, listing: bool) -> None:
    """Make a new reference from a part of the log, or list the stored ones. Stop the daemon first."""
    from monitor.baselining import Span, list_baselines, make_baseline  # noqa: PLC0415 - as above

    config = load_to_read(path)
    if listing:
        click.echo("\n".join(list_baselines(config)))
        return
    if not (model and begin and end):
        raise click.UsageError("give --model, --from and --to, or --list")
    log_to_stderr()
    click.echo(make_baseline(config, model, Span.of(begin, end)))


@main.command()
@config_option
@click.option(
    "--truth", type=click.Path(path_type=Path), help="Known incidents: model,start,end,kind,feature."
)
@click.option("--json", "out", type=click.Path(path_type=Path), help='Write JSON there; "-": print it.')
@click.option("--against", type=click.Path(path_type=Path), help="Another configuration: print what differs.")
@click.option("--model", help="Only this model.")
@click.option("--inject", multiple=True, help='Change rows: "feature=age shift=0.25sd from=2026-03-01".')
def backtest(
    path: Path,
    truth: Path | None,
    out: Path | None,
    against: Path | None,
    model: str | None,
    inject: tuple[str, ...],
) -> None:
    """Say what would have fired, had driftd watched the whole history that the sources hold now."""
    from monitor.backtest_command import Request, answer, as_json, refuse_nowhere, write  # noqa: PLC0415 - as above

    refuse_nowhere(out)
    keep_freed()
    log_problems_to_stderr()
    found = answer(Request(path, truth, against, model, inject), load_to_read, SystemClock(), _bar)
    if out == Path("-"):
        click.echo(as_json(found.data))
        return
    if out:
        write(out, as_json(found.data))
    click.echo(found.text)


@contextmanager
def _bar(name: str, length: int | None) -> Iterator[Callable[[int, str], None]]:
    """Show a progress bar on stderr where that is a terminal."""
    nothing: Iterator[str] = (text for text in list[str]())  # the bar is moved by hand
    quiet = not sys.stderr.isatty()
    with click.progressbar(
        nothing, length, name, hidden=quiet, item_show_func=lambda at: at or "the reference", file=sys.stderr
    ) as bar:

        def show(done: int, reached: str) -> None:
            bar.update(done - bar.pos, reached)
            bar.render_progress()

        yield show
        bar.update((length or bar.pos) - bar.pos, bar.current_item)


@main.group()
def rules() -> None:
    """Prometheus alert rules."""


@rules.command("write")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--runbooks", help="The address of your copy of docs/runbooks; else the files in FOLDER.")
@click.option("--grafana", help="Where Grafana is; without it alerts link to no dashboard.")
@click.option("--kubernetes", is_flag=True, help="Write one PrometheusRule manifest instead.")
def write_rules(folder: Path, runbooks: str | None, grafana: str | None, *, kubernetes: bool) -> None:
    """Write the alert rules into FOLDER, for Prometheus to read, and their runbooks below it."""
    from monitor.rule_files import write_rules  # noqa: PLC0415 - as above

    written = write_rules(folder, runbooks, grafana, kubernetes=kubernetes)
    click.echo("\n".join(str(path) for path in written))


@main.command()
@click.option("--calm", default=60.0, show_default=True, help="Seconds before the first incident.")
@click.option("--seconds", type=float, help="End by itself after this many seconds.")
def demo(calm: float, seconds: float | None) -> None:
    """Run the daemon on a simulated live model, with an incident after a minute and another one later."""
    from monitor.demo import DemoOptions, run_demo  # noqa: PLC0415 - as above

    clock = SystemClock()
    on_signals(clock.wake, *STOP, *RELOAD)
    code = run_demo(click.echo, clock, DemoOptions(calm=calm, seconds=seconds))
    click.get_current_context().exit(code)


if __name__ == "__main__":
    main()
