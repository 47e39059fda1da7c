"""What a daemon needs soon but not at once."""

from monitor.process import Process
from monitor.schedule import scheduler
from monitor.software import software


def bring_in() -> None:
    """Import libraries while references are learnt: there the main thread waits for others.

    `monitor.clients` may import some of the server's at the same time: Python's lock of each module makes one
    wait for the other.
    """
    import monitor.server.http  # noqa: F401, PLC0415 - see above

    scheduler()
    Process().samples()
    software()
