"""Audit records of verdicts on closed windows: what `recomputing.py` needs to compute each of them again.

No row is in a record: a feature's cells of the window and of the reference, what was read off the group's
last windows, the null model's numbers of that feature, and the settings. Categories are counted, not named.
"""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from detectors.beside import Classes
from detectors.calibration import Calibrator
from detectors.class_shift import LABEL_SHIFT, worst_cluster
from detectors.drift import STATISTICS
from detectors.faults import FAULTS
from detectors.monitors import MonitorSpec
from detectors.profile import CategoryGrid, Grid, NumericGrid, WindowProfile, summaries
from detectors.quality import ALONE, QUALITY, Cluster, WindowCheck
from detectors.series import EVIDENCE, MISSING, SHIFT, Lent, Series
from monitor.core.codec import grid_head
from monitor.core.gathered_records import with_faults, with_mark
from monitor.core.judging import BudgetJudge
from monitor.core.plan import Plan
from monitor.core.policy import Transition
from monitor.core.records import FORMAT, AuditRecord, Evidence
from monitor.core.row_files import bounded
from monitor.core.scenes import Scene
from monitor.core.state import ModelState
from monitor.core.wealth import mark_of
from monitor.core.wealth_marks import Mark

Head = dict[str, Any]
Arrays = dict[str, NDArray[Any]]


class Gathering(Struct, frozen=True):
    """The features whose monitors of evidence share a level, that level, and what the group has gathered.

    marks: how it came to that, of evidence and of faulty values. least: how many rows a window needs.
    """

    features: Sequence[str]
    alpha: float
    marks: tuple[Mark | None, ...]
    least: int


class Recorder:
    """Makes audit records for one model's configuration. software: name -> version of what computed."""

    def __init__(self, plan: Plan, software: Mapping[str, str]) -> None:
        self._plan = plan
        self._judge = BudgetJudge(plan, Calibrator())
        model = plan.model
        settings = model.model_dump(mode="json", exclude={"sources", "retrain", "registry", "reference"})
        text = json.dumps(settings, sort_keys=True, separators=(",", ":"))
        self._about = {
            "config": {
                "hash": sha256(text.encode()).hexdigest(),
                "window": plan.window,
                "alarms": settings["alarms"],
                "performance": settings["performance"],
            },
            "monitors": settings["monitors"],
            "versions": dict(software),
        }
        self._grids: dict[str, str] = {}

    def of_window(self, change: Transition, scene: Scene, state: ModelState, more: Head) -> AuditRecord:
        """Return the record of a verdict on a window that has just closed. more: more of the head."""
        grid = scene.seen.grid
        windows = isinstance(scene.series, Series)
        specs = self._judge.specs(grid, windows=windows)
        key = change.key
        spec = next((s for s in specs if (s.feature, s.detector) == (key.feature, key.detector)), None)
        level = self.level(grid, scene.groups)
        head = {
            **more,
            "level": level,
            "groups": scene.groups,
            "threshold": spec.threshold if spec is not None else None,
            "rows": [scene.seen.window.rows, scene.seen.reference.rows],
            "reference": {
                "number": scene.baseline.number,
                "hash": scene.baseline.hash,
                "origin": scene.baseline.origin,
                "grid": self._grid(scene),
            },
        }
        if spec is None:
            found = Evidence("other", {}, {})
        else:
            sharing = [s.feature for s in specs if s.detector == EVIDENCE and s.threshold is None]
            alpha, least = self._judge.sequential_level(grid, scene.groups), self._plan.model.alarms.min_rows
            marks = (mark_of(purses, (key.version, key.segment)) for purses in (state.wealth, state.faults))
            found = evidence_of(spec, scene, level, Gathering(sharing, alpha, (*marks,), least))
        return self.sealed(change, found, head)

    def level(self, grid: Grid, groups: int) -> float:
        """Return what each monitor of a group may spend on a window of so many groups."""
        return self._judge.level(grid, groups)

    def sealed(self, change: Transition, found: Evidence, more: Head) -> AuditRecord:
        """Seal what a verdict was computed from, with what all records hold."""
        verdict, key = change.verdict, change.key
        head = {
            "format": FORMAT,
            "how": found.how,
            "episode": change.episode,
            "model": change.model,
            "monitor": {
                "version": key.version,
                "segment": key.segment,
                "feature": key.feature,
                "detector": key.detector,
                "kind": change.kind,
            },
            "window": [change.start, change.end],
            "verdict": {
                "level": str(verdict.level),
                "n": verdict.n,
                "score": verdict.score,
                "threshold": verdict.threshold,
                "pvalue": verdict.pvalue,
                "effect": verdict.effect,
                "note": verdict.note,
                **({"classes": verdict.classes} if verdict.classes else {}),
            },
            "rule": {"enter": self._plan.rule.enter, "keep_firing": self._plan.rule.keep_firing},
        }
        files, left_out = bounded(found.files)
        document = json.loads(json.dumps({**head, **self._about, **more, **found.head, **left_out}))
        return AuditRecord.of(document, {name: _stored(a) for name, a in found.arrays.items()}, files)

    def _grid(self, scene: Scene) -> str:
        known = self._grids.get(scene.baseline.hash)
        if known is None:
            text = json.dumps(grid_head(scene.baseline.grid), sort_keys=True, separators=(",", ":"))
            known = self._grids[scene.baseline.hash] = sha256(text.encode()).hexdigest()
        return known


def _stored(array: NDArray[Any]) -> NDArray[Any]:
    whole = array.dtype.kind in "iub"
    return np.ascontiguousarray(array, dtype="<i8" if whole else "<f8")


def evidence_of(spec: MonitorSpec, scene: Scene, level: float, gathering: Gathering) -> Evidence:
    """Return what a verdict of a configured monitor was computed from."""
    series = scene.series if isinstance(scene.series, Series) else None
    by_windows = spec.detector == MISSING and spec.threshold is None
    if series is not None and (spec.detector == SHIFT or by_windows):
        return _windows("windows", scene.seen, series, spec)
    if series is not None and spec.detector == EVIDENCE:
        return _gathered(scene.seen, series, spec, gathering)
    if spec.detector in STATISTICS:
        return _distance(spec, scene, level)
    if spec.detector == LABEL_SHIFT and scene.seen.classes is not None:
        return _labels(scene, scene.seen.classes)
    if spec.detector in FAULTS and (mark := gathering.marks[1]) is not None:
        head, arrays = feature_part(scene.seen, spec.feature)
        return with_faults(spec, scene, (mark, gathering.least), Evidence("faults", head, arrays))
    return _quality(spec, scene) if spec.detector in QUALITY else Evidence("other", {}, {})


def feature_part(seen: WindowProfile, feature: str) -> tuple[Head, Arrays]:
    """Return one feature's grid, and its cells in the window and in the reference."""
    place = seen.grid.slices[feature]
    grid = next(f for f in seen.grid.features if f.name == feature)
    arrays: Arrays = {"window": seen.window.cells[place], "reference": seen.reference.cells[place]}
    if isinstance(grid, NumericGrid):
        shape: Head = {"kind": "numeric", "lo": grid.lo, "hi": grid.hi, "centre": grid.centre}
        arrays |= {"edges": np.array(grid.edges, np.float64), "places": np.array(grid.places, np.float64)}
        return {"grid": {**shape, "unit": grid.unit, "sd": grid.sd}}, arrays
    shape = {"kind": "categorical", "categories": len(grid.categories), "others": len(grid.others)}
    return {"grid": {**shape, "closed": grid.closed}}, arrays


def feature_grid(head: Mapping[str, Any], name: str, arrays: Mapping[str, NDArray[Any]]) -> Grid:
    """Return the grid of one feature that `feature_part` wrote, its categories without their names."""
    if head["kind"] == "numeric":
        edges, places = (tuple(arrays[part].tolist()) for part in ("edges", "places"))
        scale = head["centre"], head["unit"], head["sd"], places
        return Grid((NumericGrid(name, head["lo"], head["hi"], edges, *scale),))
    listed, others = (
        tuple(f"{part}{i}" for i in range(head[name_]))
        for part, name_ in (("c", "categories"), ("o", "others"))
    )
    return Grid((CategoryGrid(name, listed, others, head["closed"]),))


def _clusters(scene: Scene, *, quality: bool) -> Mapping[str, Cluster]:
    """Return how many rows tell as much as one independent row, as `judging.py` gives it to a detector."""
    if isinstance(scene.series, Lent):
        return scene.series.clusters
    return scene.series.clustering() if isinstance(scene.series, Series) and quality else ALONE


def _cluster(scene: Scene, feature: str, *, quality: bool) -> list[float]:
    return list(_clusters(scene, quality=quality).get(feature, (1.0, 1.0)))


def _labels(scene: Scene, classes: Classes) -> Evidence:
    cluster = worst_cluster(_clusters(scene, quality=True), classes.columns)
    head = {"classes": classes.names, "cluster": cluster}
    arrays = {"confusion": np.asarray(classes.confusion), "predicted": np.asarray(classes.predicted)}
    return Evidence("labels", head, arrays)


def _distance(spec: MonitorSpec, scene: Scene, level: float) -> Evidence:
    head, arrays = feature_part(scene.seen, spec.feature)
    head["cluster"] = _cluster(scene, spec.feature, quality=False)
    series, name = scene.series, (spec.feature, spec.detector)
    if isinstance(series, Series) and series.scores is not None and name in series.scores.monitors:
        head["limit"] = series.limits(level)[name]
        head["clock"] = [int(series.clock.starts[-1]), series.clock.length]
        place = series.scores.monitors.index(name)
        arrays |= {f"null/{k}": a[..., [place]] for k, a in series.scores.null.dump().items()}
        arrays["sizes"] = np.array([[_size(series, spec.feature)]])
    return Evidence("distance", head, arrays)


def _size(series: Series, feature: str) -> int:
    names = [f.name for f in series.readers.features]
    first = int(np.searchsorted(series.readers.feature, names.index(feature)))
    return int(series.reading.sizes[-1, first])


def _windows(how: str, seen: WindowProfile, series: Series, spec: MonitorSpec) -> Evidence:
    head, arrays = feature_part(seen, spec.feature)
    readers = series.readers
    place = [f.name for f in readers.features].index(spec.feature)
    columns = np.flatnonzero(readers.feature == place)
    arrays |= {
        f"null/{name}": array if name == "scales" else array[..., columns]
        for name, array in series.null.dump().items()
    }
    arrays |= {"values": series.reading.values[:, columns], "sizes": series.reading.sizes[:, columns]}
    arrays["starts"] = series.clock.starts
    return Evidence(how, {**head, "clock": [series.clock.length]}, arrays)


def _gathered(seen: WindowProfile, series: Series, spec: MonitorSpec, gathering: Gathering) -> Evidence:
    found = _windows("gathered", seen, series, spec)
    places = {f.name: i for i, f in enumerate(series.readers.features)}
    scores = series.wealth.scores if series.wealth is not None else np.zeros(len(places))
    sharing = [name for name in gathering.features if name in places]
    found.arrays["scores"] = scores[[places[name] for name in sharing]]
    place = sharing.index(spec.feature) if spec.feature in sharing else None
    head = {"alpha": gathering.alpha, "place": place, "own": float(scores[places[spec.feature]])}
    steps = with_mark(series, gathering.marks[0], places[spec.feature], gathering.least)
    return Evidence("gathered", {**found.head, **head}, found.arrays | steps)


def _quality(spec: MonitorSpec, scene: Scene) -> Evidence:
    if isinstance(QUALITY[spec.detector], WindowCheck):
        return _whole(spec, scene.seen)
    head, arrays = feature_part(scene.seen, spec.feature)
    return Evidence("quality", {**head, "cluster": _cluster(scene, spec.feature, quality=True)}, arrays)


def _whole(spec: MonitorSpec, seen: WindowProfile) -> Evidence:
    columns = sorted(seen.columns_missing if spec.detector == "missing_columns" else seen.columns_unknown)
    names = [f.name for f in seen.grid.features]
    pairs = zip(summaries(seen.grid, seen.window), summaries(seen.grid, seen.reference), strict=True)
    nulls = np.array([[w.null, w.rows, r.null, r.rows] for w, r in pairs]).reshape(-1, 4)
    arrays: Arrays = {"history": np.array(seen.history, np.int64), "nulls": nulls}
    return Evidence("whole", {"columns": columns, "features": names, "complete": seen.complete}, arrays)
