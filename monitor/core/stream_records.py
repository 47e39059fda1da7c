"""Audit records of streams: what led to an alarm, and the alarm made again."""

from collections.abc import Callable, Mapping

import numpy as np
from msgspec import Struct
from msgspec.structs import asdict

from detectors.base import Level, Verdict
from detectors.mean_bound import Moments
from detectors.stream_choice import make_stream
from monitor.core.policy import Transition
from monitor.core.records import AuditRecord, Evidence, NotAgainError
from monitor.core.row_files import values_file, values_of
from monitor.core.stream_state import StreamKey, Stretch
from monitor.core.stream_trails import Tape
from monitor.core.streaming import Spec


class Heard(Struct, frozen=True):
    """What a stream said of a window, and what led to its highest alarm."""

    spec: Spec
    part: Stretch
    tape: Tape


def stream_evidence(heard: Mapping[tuple[StreamKey, int], Heard]) -> Callable[[Transition], Evidence | None]:
    """Return what tells of the verdicts of streams, by stream and start of the window."""

    def tell(change: Transition) -> Evidence | None:
        key = StreamKey(change.key.version, change.key.feature, change.key.detector)
        found = heard.get((key, change.start))
        return _evidence(found) if found is not None else None

    return tell


def _evidence(heard: Heard) -> Evidence:
    spec, part = heard.spec, heard.part
    head = {
        "parameters": dict(spec.parameters),
        "moments": list(asdict(spec.moments).values()) if spec.moments is not None else None,
        "places": spec.pit is not None,
        "stretch": {"rows": part.rows, "left_out": part.left_out, "alarms": part.alarms},
    }
    before = heard.tape.data or (spec.make().dump() if spec.make is not None else b"")
    values = np.frombuffer(heard.tape.values, "<f8")
    return Evidence("stream", head, {}, {"before": before, "values": values_file(values)})


def stream_again(record: AuditRecord) -> Verdict:
    """Feed a record's values again to its detector: the last of them is the alarm."""
    head, monitor = record.head, record.head["monitor"]
    moments = Moments(*head["moments"]) if head["moments"] is not None else None
    stream = make_stream(monitor["detector"], head["parameters"], moments)
    if why := stream.load(record.files["before"]):
        raise NotAgainError(why)
    values = values_of(record.files["values"])
    found = stream.feed(values)
    if not len(found.rows) or int(found.rows[-1]) != stream.rows - 1:
        raise ValueError("the values do not end with an alarm")
    score, threshold = float(found.scores[-1]), float(stream.threshold)
    level = Level.BREACH if score > threshold else Level.OK
    n = head["stretch"]["rows"] - head["stretch"]["left_out"]
    verdict = monitor["detector"], monitor["feature"], monitor["kind"]
    return Verdict(*verdict, level, n, score, threshold)
