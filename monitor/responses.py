"""What people and pipelines answered to an episode: who took it on, and how the retraining goes.

An entry of its own beside the episode, written by a transaction of its own: the pipeline never writes it, so
neither waits for the other, and a commit of rows cannot undo an acknowledgement.
"""

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

from msgspec import Struct, to_builtins
from msgspec.structs import asdict, replace

from monitor.core.episode_log import EpisodeRecord, fires
from monitor.core.plan import Plan
from monitor.core.policy import Shown
from monitor.core.state import ModelState
from monitor.errors import ConflictError, NotFoundError
from monitor.performance_status import time_text
from monitor.performing import shown_state
from monitor.types import Changes, EntryKey, Micros

SPACE = "response"
REPORTS = 20
"""The newest reports that are kept of an episode."""
STARTED = "started"
FIRING, STALE, ENDED = "firing", "stale", "ended"
Watching = Iterable[tuple[Plan, ModelState]]


class Ack(Struct, frozen=True):
    """Somebody looks after an episode. at: wall clock, microseconds."""

    who: str
    why: str
    at: Micros


class Report(Struct, frozen=True):
    """What a training pipeline said: state is "started", "finished" or "failed"; run: its own name for it."""

    state: str
    run: str
    version: str
    at: Micros


class Response(Struct, frozen=True):
    """All that was answered to one episode."""

    ack: Ack | None = None
    reports: tuple[Report, ...] = ()

    def dump(self) -> bytes:
        """Return it as JSON."""
        return json.dumps(to_builtins(self), separators=(",", ":")).encode()

    @classmethod
    def load(cls, data: bytes) -> Self:
        """Read what `dump` wrote."""
        item = json.loads(data)
        ack = Ack(**item["ack"]) if item["ack"] else None
        return cls(ack, tuple(Report(**report) for report in item["reports"]))

    def acknowledged(self, ack: Ack) -> Self:
        """Return it with the acknowledgement; the same one again changes nothing. Raises ConflictError."""
        if self.ack is None:
            return replace(self, ack=ack)
        if (self.ack.who, self.ack.why) != (ack.who, ack.why):
            raise ConflictError(f"acknowledged by {self.ack.who} already, at {time_text(self.ack.at)}")
        return self

    def reported(self, report: Report) -> Self:
        """Return it with the report; the same one again changes nothing.

        Raises ConflictError where the run was said to be over, and now something else.
        """
        of_run = [known for known in self.reports if known.run == report.run]
        if any((r.state, r.version) == (report.state, report.version) for r in of_run):
            return self
        if over := next((r for r in of_run if r.state != STARTED), None):
            raise ConflictError(f"run {report.run} has {over.state} already, at {time_text(over.at)}")
        return replace(self, reports=(*self.reports, report)[-REPORTS:])


NONE = Response()
Responses = Mapping[tuple[str, str], Response]
"""By model and episode."""


def load_responses(entries: Mapping[EntryKey, bytes]) -> Responses:
    """Read the answers from the store's entries."""
    return {(model, key): Response.load(v) for (space, model, key), v in entries.items() if space == SPACE}


def standing(plan: Plan, state: ModelState, record: EpisodeRecord) -> str:
    """Say how an episode stands: "firing", "stale" (its version or segment has no rows) or "ended"."""
    if not fires(record, state.trips):
        return ENDED
    trips = (state.trips[key] for key in record.keys if key in state.trips)
    shown = (shown_state(plan, state, trip) for trip in trips if trip.episode == record.id)
    return FIRING if Shown.FIRING in shown else STALE


def response_item(response: Response) -> dict[str, Any]:
    """Return what was answered as plain data, ready for JSON; times as text."""
    ack = asdict(response.ack) | {"at": time_text(response.ack.at)} if response.ack else None
    reports = [asdict(report) | {"at": time_text(report.at)} for report in response.reports]
    return {"acknowledged": ack, "retraining": reports[-1] if reports else None, "reports": reports}


def episode_items(watching: Watching, responses: Responses) -> list[dict[str, Any]]:
    """Return every known episode as plain data: open ones first, and the newest of each first."""
    found = [
        (record, _item(plan, state, record, responses))
        for plan, state in watching
        for record in state.episodes.values()
    ]
    found.sort(key=lambda pair: (pair[1]["state"] == FIRING, pair[0].started, pair[0].id), reverse=True)
    return [item for _, item in found]


def _item(plan: Plan, state: ModelState, record: EpisodeRecord, responses: Responses) -> dict[str, Any]:
    answered = response_item(responses.get((plan.name, record.id), NONE))
    item = {"id": record.id, "model": plan.name, "state": standing(plan, state, record)}
    times = {"started": time_text(record.started), "ended": time_text(record.ended)}
    return {**item, **asdict(record), **times, **answered}


def open_episodes(plan: Plan, state: ModelState, responses: Responses) -> tuple[int, int]:
    """Count a model's firing episodes: those that somebody acknowledged, and the others."""
    firing = [r for r in state.episodes.values() if standing(plan, state, r) == FIRING]
    taken = sum(responses.get((plan.name, r.id), NONE).ack is not None for r in firing)
    return taken, len(firing) - taken


class Desk:
    """Takes answers to episodes, from any thread, and tells them."""

    def __init__(
        self,
        known: Responses,
        watching: Callable[[], Watching],
        write: Callable[[Changes], None],
        now_us: Callable[[], Micros],
    ) -> None:
        self._guard = threading.Lock()
        self._watching = watching
        self._write = write
        self._now_us = now_us
        self.responses = known

    def episodes(self) -> list[dict[str, Any]]:
        """Return every known episode as plain data."""
        return episode_items(self._watching(), self.responses)

    def episode(self, id_: str) -> dict[str, Any]:
        """Return one episode. Raises NotFoundError."""
        plan, state = self._home(id_)
        return _item(plan, state, state.episodes[id_], self.responses)

    def acknowledge(self, id_: str, who: str, why: str) -> dict[str, Any]:
        """Note that somebody looks after an episode.

        Raises NotFoundError, ConflictError, StoreUnavailableError.
        """
        return self._answer(id_, lambda known: known.acknowledged(Ack(who, why, self._now_us())))

    def report(self, id_: str, state: str, run: str, version: str) -> dict[str, Any]:
        """Note how a retraining goes; raises what `acknowledge` does."""
        return self._answer(id_, lambda known: known.reported(Report(state, run, version, self._now_us())))

    def forget(self) -> None:
        """Forget the answers to episodes that are forgotten."""
        with self._guard:
            known = {plan.name: state.episodes for plan, state in self._watching()}
            gone = {key for key in self.responses if key[0] in known and key[1] not in known[key[0]]}
            self._write({(SPACE, *key): None for key in gone})
            self.responses = {key: r for key, r in self.responses.items() if key not in gone}

    def _answer(self, id_: str, change: Callable[[Response], Response]) -> dict[str, Any]:
        plan, _ = self._home(id_)
        key = (plan.name, id_)
        with self._guard:
            known = self.responses.get(key, NONE)
            after = change(known)
            if after is not known:
                self._write({(SPACE, *key): after.dump()})
                self.responses = {**self.responses, key: after}
        return self.episode(id_)

    def _home(self, id_: str) -> tuple[Plan, ModelState]:
        for plan, state in self._watching():
            if id_ in state.episodes:
                return plan, state
        raise NotFoundError("no such episode; GET /api/v1/episodes lists those that are known")
