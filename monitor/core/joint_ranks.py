"""Which features changed in the rows that a heavy monitor compared: said when an episode of it begins."""

from collections.abc import Callable, Mapping

from msgspec.structs import replace

from detectors.attribution import Attribution, Moved, Part, attribute, turned
from detectors.joint import Joint
from detectors.moves import moved_rows
from monitor.core.attributing import MOST_TOGETHER
from monitor.core.heavy import Question
from monitor.core.plan import Plan, score_columns
from monitor.core.policy import TripKey
from monitor.core.scenes import Compared


def rows_compared(
    asked: Mapping[tuple[str, str], Question], windows: int
) -> Callable[[TripKey], Compared | None]:
    """Return what tells which rows a monitor compared, of these questions by feature and detector."""

    def tell(key: TripKey) -> Compared | None:
        question = asked.get((key.feature, key.detector))
        return Compared(question.reference, question.window, windows) if question is not None else None

    return tell


def of_rows(plan: Plan, known: Attribution, rows: Compared) -> Attribution:
    """Rank the features among the columns that were compared; of an embedding, name it.

    known: what each feature alone is beside what is usual at the time, where that is known; it counts unless
    the rows are of several windows. Predictions and scores are no features: of them alone it stays as known.
    """
    if rows.reference.vectors:
        return Attribution((_embedding(rows.reference),), None)
    names = set(rows.reference.columns) - {"prediction", *score_columns(plan.model)}
    if not names:
        return known
    reference, window = (_chosen(part, names) for part in (rows.reference, rows.window))
    alone = moved_rows(reference, window)
    if rows.windows == 1:
        usual = {part.feature: Moved(part.ratio, part.effect, part.what) for part in known.parts}
        alone = {name: usual.get(name, one) for name, one in alone.items()}
    most = sorted(alone, key=lambda name: (-alone[name].ratio, name))
    if len(most) > MOST_TOGETHER:  # those that only go otherwise together have not moved alone
        most = [*dict.fromkeys([*turned(reference, window)[: MOST_TOGETHER // 2], *most])][:MOST_TOGETHER]
    both = (_chosen(part, set(most)) for part in (reference, window))
    return attribute({name: alone[name] for name in most}, *both)


def _embedding(rows: Joint) -> Part:
    """Return an embedding as a whole: its coordinates mean nothing alone."""
    name = rows.columns[0].rpartition("[")[0]
    return Part(name, ratio=0.0, share=1.0, alone=0.0, together=None, effect=0.0)


def _chosen(rows: Joint, names: set[str]) -> Joint:
    """Return some of the columns."""
    places = [place for place, name in enumerate(rows.columns) if name in names]
    width = rows.numeric.shape[1]
    numeric = rows.numeric[:, [place for place in places if place < width]]
    codes = rows.codes[:, [place - width for place in places if place >= width]]
    return replace(rows, columns=tuple(rows.columns[place] for place in places), numeric=numeric, codes=codes)
