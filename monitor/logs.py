"""Logging: JSON lines on stderr, one per change of state, never one per row."""

import logging
import sys
from typing import Any

import structlog


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


def logger(name: str, **fields: object) -> Any:  # noqa: ANN401 - structlog makes the type when first used
    """Return a logger of events with fields."""
    return structlog.get_logger(f"driftd.{name}", **fields)
