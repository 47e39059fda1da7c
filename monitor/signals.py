"""Signals, answered between two instructions of the main thread: an answer may set a flag, no more."""

import signal
from collections.abc import Callable
from types import FrameType

STOP = (signal.SIGTERM, signal.SIGINT)
RELOAD = (signal.SIGHUP,)


def on_signals(answer: Callable[[], None], *numbers: signal.Signals) -> None:
    """Call `answer` when one of these signals comes. From the main thread only."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        answer()

    for number in numbers:
        signal.signal(number, handle)
