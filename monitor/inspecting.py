"""Looking at committed state from outside the daemon: for `metrics`, `status`, `episodes`, `performance`."""

from typing import Any

from exporters.prometheus import render
from monitor.clock import Clock, micros
from monitor.config import Config, Model
from monitor.core.plan import Plan
from monitor.core.row_files import SPACE as FILES
from monitor.core.state import load_model
from monitor.errors import DriftdError
from monitor.facts import all_samples, episode_samples
from monitor.outgoing import load_outbox
from monitor.performance_history import performance_history
from monitor.responses import FIRING, episode_items, load_responses
from monitor.status import status
from monitor.store.rejects import SPACE
from monitor.store.sqlite import SqliteStore
from monitor.types import EntryKey


def read_entries(config: Config, *, rows: bool = False) -> dict[EntryKey, bytes]:
    """Return the entries of the last commit, whether or not a daemon runs; rows: those of audits too."""
    store = SqliteStore(config.daemon.state, read_only=True)
    try:
        return store.load(without=None if rows else FILES)
    finally:
        store.close()


def committed_metrics(config: Config, clock: Clock, accept: str) -> bytes:
    """Return the exposition of the last committed state."""
    entries = read_entries(config)
    states = {m.name: load_model(m.name, entries) for m in config.models}
    rejects = {key[1]: value for key, value in entries.items() if key[0] == SPACE}
    plans = [Plan.of(m) for m in config.models]
    samples = all_samples(plans, states, rejects, load_outbox(entries), micros(clock.now()))
    responses = load_responses(entries)
    samples += [s for plan in plans for s in episode_samples(plan, states[plan.name], responses)]
    return render(samples, accept)[0]


def committed_status(config: Config) -> dict[str, Any]:
    """Return the status of the last committed state."""
    entries = read_entries(config)
    states = {m.name: load_model(m.name, entries) for m in config.models}
    return status([Plan.of(m) for m in config.models], states, load_outbox(entries), load_responses(entries))


def committed_episodes(config: Config, name: str | None, *, also_over: bool) -> list[dict[str, Any]]:
    """Return the episodes of the last committed state; name: of one model only."""
    models = _named(config, name)
    entries = read_entries(config)
    watching = [(Plan.of(m), load_model(m.name, entries)) for m in models]
    found = episode_items(watching, load_responses(entries))
    return [e for e in found if also_over or e["state"] == FIRING]


def _named(config: Config, name: str | None) -> list[Model]:
    models = [m for m in config.models if name in (None, m.name)]
    if not models:
        known = ", ".join(m.name for m in config.models)
        raise DriftdError(f'there is no model "{name}"; the configuration has {known}')
    return models


def committed_performance(config: Config, name: str | None, *, segments: bool) -> dict[str, Any]:
    """Return how performance went by the last committed state; name: of one model only."""
    models = _named(config, name)
    entries = read_entries(config)
    states = {m.name: load_model(m.name, entries) for m in models}
    return performance_history([Plan.of(m) for m in models], states, segments=segments)
