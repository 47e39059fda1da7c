"""Audit records of heavy monitors: the rows they saw, what they were asked, and the answer computed again."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from detectors.base import Verdict
from detectors.joint import Asked, Comparison
from detectors.monitors import MonitorSpec, judged
from detectors.multivariate import MULTIVARIATE
from detectors.window_level import Strictness
from monitor.core.heavy import Question
from monitor.core.policy import Transition
from monitor.core.records import AuditRecord, Evidence, NotAgainError
from monitor.core.row_files import joint_file, joint_of

Ask = Callable[[Asked], Comparison]
"""Answers; raises NotAgainError."""
SIDES = ("reference", "window")


def joint_evidence(asked: Mapping[tuple[str, str], Question]) -> Callable[[Transition], Evidence | None]:
    """Return what tells of the verdicts of these questions, by feature and detector."""

    def tell(change: Transition) -> Evidence | None:
        question = asked.get((change.key.feature, change.key.detector))
        return _evidence(question) if question is not None else None

    return tell


def _evidence(asked: Question) -> Evidence:
    head: dict[str, Any] = {
        "level": asked.strict.wished,
        "windows": asked.strict.windows,
        "threshold": asked.spec.wish.threshold,
        "rows": [asked.window.rows, asked.reference.rows],
        "options": dict(asked.options),
        "seed": asked.seed,
    }
    arrays = {"pvalues": np.array(asked.strict.pvalues, np.float64)}
    files = {name: joint_file(getattr(asked, name)) for name in SIDES}
    return Evidence("joint", head, arrays, files)


def joint_again(record: AuditRecord, ask: Ask | None) -> Verdict:
    """Compare a record's rows again; ask: asks the detectors that are not driftd's own."""
    head, monitor = record.head, record.head["monitor"]
    reference, window = (joint_of(record.files[side]) for side in SIDES)
    strict = Strictness(head["level"], tuple(record.arrays["pvalues"].tolist()), head["windows"])
    asked = Asked(monitor["detector"], reference, window, strict.level, head["options"], head["seed"])
    found = _answered(asked, ask)
    limit = found.threshold if head["threshold"] is None else head["threshold"]
    spec = MonitorSpec(monitor["feature"], monitor["detector"], monitor["kind"], head["threshold"])
    return judged(spec, window.rows, (found.score, limit), found.effect, found.pvalue)


def _answered(asked: Asked, ask: Ask | None) -> Comparison:
    if asked.detector in MULTIVARIATE:
        return MULTIVARIATE[asked.detector](*asked[1:])
    if ask is None:
        raise NotAgainError(f"there is nobody to ask for {asked.detector}")
    return ask(asked)
