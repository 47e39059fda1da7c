"""A secret that is read again at each use, so that it can be exchanged while the daemon runs."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

Secret = TypeVar("Secret")


class LastGood(Generic[Secret]):
    """What a file holds now; where that cannot be used the last good one, and the log says so once.

    read: raises ValueError that quotes nothing. first: what was read at the start. log: says whose it is.
    key: of the configuration, that names the file.
    """

    def __init__(
        self,
        read: Callable[[], Secret],
        first: Secret,
        log: Any,  # noqa: ANN401 - structlog makes the type when first used
        key: str,
    ) -> None:
        self._read = read
        self._good = first
        self._log = log
        self._key = key
        self._problem = ""

    def __call__(self) -> Secret:
        """Return it."""
        problem = ""
        try:
            found = self._read()
            if found != self._good:
                self._log.info("secret changed")
            self._good = found
        except ValueError as error:
            problem = f"{self._key} {error}"
        if problem and problem != self._problem:
            self._log.warning("the last good secret is used", problem=problem)
        self._problem = problem
        return self._good
