"""What a daemon needs soon but not at once."""

from monitor.software import software


def bring_in() -> None:
    """Import what serves HTTP while references are learnt: there the main thread waits for others."""
    import monitor.server.http  # noqa: F401, PLC0415 - see above

    software()
