"""Ports for programs that must be told theirs, or on which nobody is to listen for a while."""

import socket


def free_port() -> int:
    """Return a port of 127.0.0.1 that is nobody else's as long as this process lives.

    A port that the system picked and that was let go is anybody's again: the next outgoing connection of any
    program may have it. So the socket is kept, bound and not listening: a connection is refused, a server
    with SO_REUSEADDR, as all have it, may listen there, and the system gives the port to nobody.
    """
    kept = socket.socket()
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    kept.bind(("127.0.0.1", 0))
    port = int(kept.getsockname()[1])
    kept.detach()  # closed with the process
    return port
