"""What a commit keeps beside what closing brought: who has series of their own, and the episodes."""

from msgspec.structs import replace

from monitor.core.closing import Closed
from monitor.core.episode_log import episode_changes
from monitor.core.members import SPACE as MEMBERS
from monitor.core.records import SPACE as RECORDS
from monitor.core.row_files import SPACE as FILES
from monitor.core.row_files import hashes
from monitor.core.state import ModelState
from monitor.facts import ModelFacts
from monitor.types import Changes


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


def with_episodes(before: ModelState, closed: Closed) -> Closed:
    """Write down the episodes that have begun, changed or ended since the last commit."""
    after = closed.state
    if after.episodes is before.episodes:
        return closed
    changes = {**closed.changes, **episode_changes(after.model, before.episodes, after.episodes)}
    return replace(closed, changes=_kept(after, changes))


def _kept(after: ModelState, changes: Changes) -> Changes:
    """Leave out what was kept for audits of episodes that began in this commit and are forgotten already."""
    kept = {RECORDS: set(after.episodes), FILES: hashes(after.episodes.values())}
    return {
        key: None if key[0] in kept and key[2] not in kept[key[0]] else value
        for key, value in changes.items()
    }
