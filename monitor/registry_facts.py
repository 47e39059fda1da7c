"""What committed state says of the models' registries."""

from collections.abc import Iterable, Mapping

from exporters.catalog import Sample
from monitor.core.outbox import NoteState
from monitor.core.plan import Plan
from monitor.core.registry import ENDPOINT
from monitor.core.state import ModelState
from monitor.outgoing import Outbox


def registry_samples(plans: Iterable[Plan], states: Mapping[str, ModelState], outbox: Outbox) -> list[Sample]:
    """Return, of each model with a registry, the versions there, and how attaching evidence ended."""
    found: list[Sample] = []
    for name in (plan.name for plan in plans if plan.model.registry is not None):
        known = states[name].arrivals.registry
        found.append(Sample("driftd_registry_versions", (name,), len(known.versions) if known else 0))
        for end in (str(NoteState.DELIVERED), str(NoteState.DEAD)):
            ended = outbox.settled.get((name, ENDPOINT + name, end), 0)
            found.append(Sample("driftd_registry_evidence_total", (name, end), ended))
    return found
