"""What a running daemon shows to people: its status as data and as text, and the status page."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from exporters.catalog import Sample
from monitor.clock import Clock
from monitor.facts import episode_samples
from monitor.outgoing import Outbox
from monitor.responses import Desk, Watching, episode_items
from monitor.status import as_text, status
from monitor.status_page import page


class Views(Struct, frozen=True):
    """Looks at committed state each time it is asked. ready: says why the daemon is not, "" when it is."""

    watching: Callable[[], Watching]
    outbox: Callable[[], Outbox]
    desk: Desk
    ready: Callable[[], str]
    clock: Clock

    def status(self) -> dict[str, Any]:
        """Return the status as plain data."""
        return self._status(list(self.watching()))

    def status_text(self) -> str:
        """Return the status as a person reads it."""
        return as_text(self.status())

    def page(self) -> dict[str, Any]:
        """Return what the status page shows."""
        watching = list(self.watching())
        episodes = episode_items(watching, self.desk.responses)
        now = self.clock.now().isoformat()
        return page(self._status(watching), episodes, watching, problem=self.ready(), now=now)

    def samples(self) -> list[Sample]:
        """Return what is exported of episodes."""
        return [s for watched in self.watching() for s in episode_samples(*watched, self.desk.responses)]

    def _status(self, watching: Watching) -> dict[str, Any]:
        states = {plan.name: state for plan, state in watching}
        return status([plan for plan, _ in watching], states, self.outbox(), self.desk.responses)
