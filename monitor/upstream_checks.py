"""What is wrong with the groups of features that have one source upstream."""

from collections.abc import Iterator

from monitor.complaints import Complaint, Place, nearest, quoted, repeated
from monitor.config import Model


def upstream(model: Model, at: Place) -> Iterator[Complaint]:
    """Yield complaints about the table; at: the model's place."""
    place, features = (*at, "upstream"), model.features
    known = {*features.numeric, *features.categorical} if features is not None else None
    taken: dict[str, str] = {}
    for group, names in model.upstream.items():
        here = (*place, group)
        yield from repeated(names, here)
        if not names:
            yield Complaint(here, "is empty; name features, or remove it")
        for i, name in enumerate(names):
            if known is not None and name not in known:
                says = f"{quoted(name)} is not a configured feature{nearest(name, known)}"
                yield Complaint((*here, i), says, needs=((*at, "features"),))
            elif taken.setdefault(name, group) != group:
                says = f"{quoted(name)} is in {quoted(taken[name])} already; a feature has one source"
                yield Complaint((*here, i), says, needs=((*place, taken[name]),))
