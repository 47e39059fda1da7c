"""What `driftd backtest` does between its options and what it prints."""

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from msgspec import Struct

from monitor.backtest import Progress, Replay, Wishes, backtest, history_bytes, only
from monitor.backtest_compare import Side, as_markdown
from monitor.backtest_report import as_text, document
from monitor.clock import Clock
from monitor.config import Config
from monitor.errors import DriftdError
from monitor.injection import parse_injection
from monitor.performance_status import time_text
from monitor.truth import known_incidents

Bar = Callable[[str, int | None], AbstractContextManager[Callable[[int, str], None]]]
"""Shows progress: takes a name and a length (None: unknown), and is then told how far it is, in words too."""


class Request(Struct, frozen=True):
    """The options of the command. inject: as written."""

    config: Path
    truth: Path | None = None
    against: Path | None = None
    model: str | None = None
    inject: tuple[str, ...] = ()


class Answer(Struct, frozen=True):
    """What to print: text for a person, and data, ready for JSON."""

    text: str
    data: dict[str, Any]


def answer(request: Request, load: Callable[[Path], Config], clock: Clock, bar: Bar) -> Answer:
    """Run the backtest, or the two of them. Raises DriftdError, for wrong options before anything runs."""
    paths = list(dict.fromkeys(path for path in (request.config, request.against) if path is not None))
    configs = [load(path) for path in paths]
    incidents = known_incidents(request.truth, [m.name for config in configs for m in config.models])
    wishes = Wishes(incidents, tuple(map(parse_injection, request.inject)))
    chosen = [only(config, request.model) for config in configs]
    one, *others = (
        Side(str(path), _run(path, config, wishes.of(strict=path == request.config), clock, bar))
        for path, config in zip(paths, chosen, strict=True)
    )
    data = document(one.replays)
    for other in others:
        data["against"] = document(other.replays)["models"]
    return Answer(as_markdown(one, others[0]) if others else as_text(one.replays), data)


def _run(path: Path, config: Config, wishes: Wishes, clock: Clock, bar: Bar) -> Sequence[Replay]:
    with bar(path.name, history_bytes(config)) as show:
        return backtest(config, wishes, clock, lambda at: show(at.done, _reached(at)))


def _reached(at: Progress) -> str:
    return f"{at.model}: {at.rows:,} rows, {time_text(at.at) or 'no time yet'}"


def as_json(data: dict[str, Any]) -> str:
    """Return the data as text."""
    return json.dumps(data, indent=2, allow_nan=False)


def refuse_nowhere(path: Path | None) -> None:
    """Raise DriftdError for a file that could not be written, before hours of work are lost to it."""
    if path is not None and not path.absolute().parent.is_dir():
        raise DriftdError(f"{path}: its folder does not exist; make it, or give another path")


def write(path: Path, text: str) -> None:
    """Write a text file; raises DriftdError."""
    try:
        path.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise DriftdError(f"{path}: cannot be written ({error.strerror}); give another path") from error
