"""What a commit keeps beside what closing brought: who has series of their own, and the episodes."""

from collections.abc import Sequence
from dataclasses import replace

from monitor.core.closing import Closed
from monitor.core.episode_log import episode_changes, followed
from monitor.core.members import SPACE as MEMBERS
from monitor.core.policy import Transition
from monitor.core.state import ModelState
from monitor.facts import ModelFacts


def with_members(facts: ModelFacts, before: ModelState, closed: Closed) -> Closed:
    """Settle which monitors have series of their own, where windows were judged."""
    after = closed.state
    if after.trips is before.trips and after.labels.history is before.labels.history:
        return closed
    members = facts.members(after)
    if members == after.members:
        return closed
    changes = {**closed.changes, (MEMBERS, after.model, ""): members.dump()}
    return replace(closed, state=replace(after, members=members), changes=changes)


def with_episodes(before: ModelState, closed: Closed, transitions: Sequence[Transition]) -> Closed:
    """Follow the episodes that the transitions begin and end."""
    after = closed.state
    episodes = followed(before.episodes, after.trips, transitions)
    changes = episode_changes(after.model, before.episodes, episodes)
    return replace(closed, state=replace(after, episodes=episodes), changes={**closed.changes, **changes})
