"""Logging: JSON lines on stderr, one per change of state, never one per row."""

import logging
import sys
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

import structlog
from msgspec import Struct


def log_to_stderr() -> None:
    """Send the daemon's own events to stderr, and of the libraries' only their errors."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.basicConfig(stream=sys.stderr, level=logging.ERROR)


def log_problems_to_stderr() -> None:
    """Send errors alone to stderr, our own and the libraries': for commands that print a report."""
    log_to_stderr()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))


class _Told(Struct, frozen=True):
    """A step of structlog that tells somebody of an event, and changes nothing."""

    listener: Callable[[Mapping[str, object]], None]

    def __call__(self, _: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        self.listener(event)
        return event


def tell_too(listener: Callable[[Mapping[str, object]], None]) -> None:
    """Tell the listener of each of our events too, with its level, before it is written."""
    *steps, last = structlog.get_config()["processors"]
    structlog.configure(processors=[*steps, _Told(listener), last])


def tell_nobody(listener: Callable[[Mapping[str, object]], None] | None) -> None:
    """Tell the listener no more."""
    steps = structlog.get_config()["processors"]
    structlog.configure(processors=[step for step in steps if step != _Told(listener)] if listener else steps)


def logger(name: str, **fields: object) -> Any:  # noqa: ANN401 - structlog makes the type when first used
    """Return a logger of events with fields."""
    return structlog.get_logger(f"driftd.{name}", **fields)
