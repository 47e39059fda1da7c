"""What a model's performance is measured against: the reference's own, and its model of losses."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl
from msgspec import Struct, field
from numpy.typing import NDArray

from detectors.classification import ClassMeasure
from detectors.direct_loss import LossModel, digest, load
from detectors.measure import Measure
from detectors.ranking import RankingMeasure
from detectors.regression import RegressionMeasure
from monitor.config import Model
from monitor.core.codec import pack, unpack
from monitor.core.outcomes import Vocabulary
from monitor.core.profiles import ALL, OTHER, segment_label
from monitor.core.usual import Usual, losses

GROUP = "group:"
GROUP_VALUES = 50
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Standard(Struct, frozen=True):
    """One reference's performance.

    number: the baseline's. values: scheme -> its monitored values; a scheme is a segment column or
    "group:<column>". sums: label -> sums of the labelled rows, empty where the reference has no outcomes.
    edges, centre: what a regression's measure is laid out by. loss: the model of losses, b"" without one.
    pending: whether that model is still to be fitted. layout: the `layout` that the sums were made by.
    usual: its errors and losses as streams take them.
    """

    number: int
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sums: Mapping[str, Floats] = field(default_factory=dict)
    edges: tuple[float, ...] = ()
    centre: float = 0.0
    loss: bytes = b""
    pending: bool = False
    layout: str = ""
    usual: Mapping[str, Usual] = field(default_factory=dict)

    def dump(self) -> bytes:
        """Write it for the store, the model of losses with its hash."""
        head = {
            "number": self.number,
            "values": {scheme: list(values) for scheme, values in self.values.items()},
            "edges": list(self.edges),
            "centre": self.centre,
            "sha256": digest(self.loss),
            "pending": self.pending,
            "layout": self.layout,
            "usual": {kind: usual.item() for kind, usual in self.usual.items()},
        }
        arrays: dict[str, NDArray[Any]] = {f"sums/{label}": s for label, s in self.sums.items()}
        arrays["loss"] = np.frombuffer(self.loss.ljust(-(-len(self.loss) // 8) * 8, b"\0"), "<u8")
        return pack(head | {"loss": len(self.loss)}, arrays)

    @classmethod
    def load(cls, data: bytes) -> "Standard":
        """Read what `dump` wrote."""
        head, arrays = unpack(data)
        loss = arrays["loss"].tobytes()[: head["loss"]]
        if loss:
            load(loss, head["sha256"])  # refuses what is not as it was stored
        return cls(
            head["number"],
            {scheme: tuple(values) for scheme, values in head["values"].items()},
            {n.removeprefix("sums/"): a for n, a in arrays.items() if n.startswith("sums/")},
            tuple(head["edges"]),
            head["centre"],
            loss,
            head["pending"],
            head["layout"],
            {kind: Usual.load(item) for kind, item in head.get("usual", {}).items()},
        )

    def loss_model(self) -> LossModel | None:
        """Return the model of losses, if there is one."""
        return load(self.loss, digest(self.loss)) if self.loss else None


def measure_of(model: Model, vocabulary: Vocabulary, standard: Standard) -> Measure:
    """Return the measure of the model's task."""
    wishes = model.performance
    if model.task == "regression":
        return RegressionMeasure(standard.edges, wishes.quantiles, standard.centre)
    if model.task == "ranking":
        return RankingMeasure(wishes.k)
    costs = np.array(wishes.costs) if wishes.costs else None
    return ClassMeasure(
        vocabulary.classes, scored=bool(vocabulary.scores), threshold=wishes.threshold, costs=costs
    )


def layout(model: Model) -> str:
    """Return all of the configuration that decides what sums mean: equal texts, equal meaning."""
    wishes, columns = model.performance, model.columns
    meaning = [wishes.threshold, wishes.k, columns.segments, columns.groups, Vocabulary.of(model).scores]
    meaning.append(tuple(losses(model)))
    return json.dumps([_codes(model), meaning], separators=(",", ":"))


def _codes(model: Model) -> list[object]:
    return [model.task, Vocabulary.of(model).classes, model.columns.query]


def same_codes(model: Model, before: str) -> bool:
    """Tell whether what waits since `before` still means the same: classes wait as their numbers."""
    return bool(json.loads(before)[0] == json.loads(json.dumps(_codes(model))))


def schemes(values: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, str, list[str]]]:
    """Yield (column of the frame, its name, labels of its values and of all others) of each scheme."""
    for scheme, named in values.items():
        name = scheme.removeprefix(GROUP)
        column = scheme if scheme.startswith(GROUP) else f"segment:{name}"
        prefix = GROUP if scheme.startswith(GROUP) else ""
        yield column, scheme, [prefix + segment_label(name, value) for value in (*named, OTHER)]


def label_codes(
    frame: pl.DataFrame, values: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[list[str], Ints]]:
    """Yield, for all rows together and for each scheme, its labels and each row's place among them."""
    yield [ALL], np.zeros(frame.height, np.int64)
    for column, scheme, labels in schemes(values):
        known = (
            frame[column] if column in frame.columns else pl.Series([None] * frame.height, dtype=pl.String)
        )
        place = known.cast(pl.Enum(values[scheme]), strict=False).to_physical().cast(pl.Int64)
        yield labels, place.fill_null(len(labels) - 1).to_numpy()
