"""The machine's clock: a wait ends when it is woken, also by a signal that does not interrupt the sleep."""

import signal
import threading
from types import FrameType

from monitor.clock import SystemClock

FAR = 60.0


def test_woken_before_and_after_no_wait_lasts() -> None:
    clock = SystemClock()
    assert not clock.wait(0.01)
    clock.wake()
    assert clock.wait(FAR)
    assert clock.wait(FAR)


def test_a_signal_that_another_thread_takes_wakes_the_waiting_one() -> None:
    """The kernel may note a signal without interrupting the main thread's sleep, where its handler runs."""
    clock, begun = SystemClock(), threading.Event()

    def handle(_number: int, _frame: FrameType | None) -> None:
        clock.wake()

    def take_it() -> None:
        begun.wait(FAR)
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, handle)
    taker = threading.Thread(target=take_it)
    taker.start()
    try:
        begun.set()
        assert clock.wait(FAR)
    finally:
        taker.join()
        signal.signal(signal.SIGUSR1, before)
