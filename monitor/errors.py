"""Errors, named by what the caller can do about them."""

from collections.abc import Sequence


class DriftdError(Exception):
    """One clear line for the user: what is wrong, where, what to do."""


class ConfigError(DriftdError):
    """The configuration is wrong; carries every complaint at once.

    lasting: the file's own text is wrong, so that it will be as wrong the next time, whatever else changes.
    """

    def __init__(self, complaints: Sequence[str], *, lasting: bool = False) -> None:
        super().__init__("\n".join(complaints))
        self.complaints = tuple(complaints)
        self.lasting = lasting


class StateError(DriftdError):
    """The state folder cannot be used: locked, newer than this program, or damaged."""


class ReferenceUnusableError(DriftdError):
    """The reference is missing, empty or unreadable."""


class StoreUnavailableError(DriftdError):
    """A commit did not happen; nothing was recorded, trying again later is safe."""


class NotFoundError(DriftdError):
    """Something asked for by its name is not there."""


class ConflictError(DriftdError):
    """What is asked contradicts what is known already."""
