"""What the worker does with a request: alibi-detect's own detectors, called. It imports nothing of driftd.

Every judge takes what is asked and the two matrices, and returns an answer of `detectors.alibi_answers`.
"""

import json
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float64] | NDArray[np.float32]
Answer = Mapping[str, object]
Asked = Mapping[str, Any]
Judge = Callable[[Asked, Rows, Rows], Answer]
LEVEL = 0.05
"""What alibi-detect is told: its own threshold is of no use here, the p-value is."""
KEPT = 8
"""Online detectors that stay configured."""
SEEDS = 25
"""Seeds that are tried: FETDriftOnline cannot be configured with some."""


def _classes() -> Any:  # noqa: ANN401 - alibi-detect has no types
    return import_module("alibi_detect.cd")


def by_column(asked: Asked, reference: Rows, window: Rows) -> Answer:
    """Test each column: KSDrift, CVMDrift, ChiSquareDrift, TabularDrift, FETDrift."""
    options = {k: v for k, v in asked["options"].items() if k in {"correction", "alternative"}}
    if asked["title"] == "TabularDrift":
        options["categories_per_feature"] = dict.fromkeys(asked["categories"])
    detector = getattr(_classes(), asked["title"])(reference, p_val=LEVEL, **options)
    pvalues, distances = detector.score(window)
    return {"pvalues": _floats(pvalues), "distances": _floats(distances)}


def permuted(asked: Asked, reference: Rows, window: Rows) -> Answer:
    """Compare whole rows by a permutation test, and tell the permuted values: MMDDrift, LSDDDrift."""
    options, null = dict(asked["options"]), list[float]()
    options.pop("rows")
    if "sigma" in options:
        sigma = options.pop("sigma")
        options["sigma"] = np.array([sigma], dtype=np.float32) if sigma else None
    if asked["title"] == "LearnedKernelDrift":
        options |= {"kernel": _kernel(reference.shape[1], options.pop("hidden")), "verbose": 0}
        options["retrain_from_scratch"] = (
            False  # else 0.13 trains one kernel and judges by another; ours is new
        )
    detector = getattr(_classes(), asked["title"])(
        reference, backend="pytorch", p_val=LEVEL, device="cpu", **options
    )
    with _listening(asked["title"], null):
        found = detector.predict(window)["data"]
    return {"pvalue": float(found["p_val"]), "score": float(found["distance"]), "null": null}


def _kernel(width: int, hidden: int) -> Any:  # noqa: ANN401 - PyTorch has no types here
    """Return a deep kernel as alibi-detect's documentation makes them: a small net before a Gaussian one."""
    nn, kernels = import_module("torch.nn"), import_module("alibi_detect.utils.pytorch")
    net = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, hidden))
    return kernels.DeepKernel(net, eps=0.01)


@contextmanager
def _listening(title: str, null: list[float]) -> Iterator[None]:
    """Hear the statistic's values on permuted rows, which alibi-detect computes and does not return."""
    name, function = {
        "MMDDrift": ("mmd", "mmd2_from_kernel_matrix"),
        "LearnedKernelDrift": ("learned_kernel", "mmd2_from_kernel_matrix"),
        "LSDDDrift": ("lsdd", "permed_lsdds"),
    }[title]
    module = import_module(f"alibi_detect.cd.pytorch.{name}")
    own = getattr(module, function)

    def heard(*args: object, **kwargs: object) -> object:
        found = own(*args, **kwargs)
        if function == "permed_lsdds":
            null.extend(_floats(found[0]))
        elif kwargs.get("permute"):
            null.append(float(found))
        return found

    setattr(module, function, heard)
    try:
        yield
    finally:
        setattr(module, function, own)


def classified(asked: Asked, reference: Rows, window: Rows) -> Answer:
    """Tell the sides apart by a classifier: ClassifierDrift (scikit-learn), SpotTheDiffDrift (PyTorch)."""
    options, seed = dict(asked["options"]), asked["seed"] % 2**32
    options.pop("rows")
    folds = options.pop("n_folds") or None
    options |= {"seed": seed} | ({"n_folds": folds, "train_size": None} if folds else {})
    if asked["title"] == "ClassifierDrift":
        options |= {"backend": "sklearn", "model": _model(options.pop("model"), seed)}
    else:
        options |= {"backend": "pytorch", "device": "cpu"}
    detector = getattr(_classes(), asked["title"])(reference, p_val=LEVEL, **options)
    found = detector.predict(window)["data"]
    answer = {"pvalue": float(found["p_val"]), "distance": float(found["distance"])}
    return answer | ({"diffs": _floats(found["diffs"])} if "diffs" in found else {})


def _model(name: str, seed: int) -> Any:  # noqa: ANN401 - scikit-learn has no types
    if name == "random_forest":
        return import_module("sklearn.ensemble").RandomForestClassifier(random_state=seed)
    if name == "logistic_regression":
        return import_module("sklearn.linear_model").LogisticRegression(max_iter=1000)
    return import_module("sklearn.ensemble").HistGradientBoostingClassifier(random_state=seed)


class Streams:
    """Online detectors, run over a window's rows from a fresh start.

    One half of the reference is the detector's. How often it alarms without drift is told by other splits of
    the reference: one half in the detector, rows of the other as the stream. Configuring takes long, and so
    do the splits: the last few stay as they are. Both are seeded by the reference and the options, whoever
    asks first, so that an answer depends on nothing that was asked before.
    """

    def __init__(self) -> None:
        self._detectors: dict[str, Any] = {}
        self._nulls: dict[str, list[float]] = {}

    def __call__(self, asked: Asked, reference: Rows, window: Rows) -> Answer:
        """Return at which share of the window's rows it alarms, and of streams without drift."""
        what = json.dumps([asked["title"], asked["options"], str(reference.dtype)]).encode()
        key = sha256(what + np.ascontiguousarray(reference).tobytes()).hexdigest()
        seed, half = int(key[:8], 16), len(reference) // 2
        if key not in self._detectors:
            _room(self._detectors)
            self._detectors[key] = _online(asked, reference[:half], seed)
        detector, length = self._detectors[key], _rounded(min(half, len(window)))
        long = f"{key} {length}"
        if long not in self._nulls:
            _room(self._nulls)
            rng = np.random.default_rng(seed)
            seed_all(seed + SEEDS + length)  # none of those that the detector was configured with
            splits = (rng.permutation(reference) for _ in range(asked["options"]["n_streams"]))
            self._nulls[long] = [_alarming(detector, s[:half], s[half : half + length]) for s in splits]
        seed_all(asked["seed"])  # FETDriftOnline draws where it ties, MMDDriftOnline for its first window
        return {"score": _alarming(detector, reference[:half], window[:half]), "null": self._nulls[long]}


def seed_all(seed: int) -> None:
    """Seed every generator that alibi-detect draws from."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - alibi-detect draws from the global one
    if "torch" in sys.modules:
        import_module("torch").manual_seed(seed)


def _room(known: dict[str, Any]) -> None:
    """Let go of the oldest ones."""
    while len(known) >= KEPT:
        known.pop(next(iter(known)))


def _rounded(length: int) -> int:
    """Return a length at most a quarter shorter, of which there are few: shares of fewer rows vary more."""
    step = max(1, 1 << (length.bit_length() - 3))
    return length // step * step


def _online(asked: Asked, reference: Rows, seed: int) -> Any:  # noqa: ANN401 - alibi-detect has no types
    options = dict(asked["options"])
    size = options.pop("window_size")
    if asked["title"] == "MMDDriftOnline":
        sigma = options.pop("sigma")
        options |= {"window_size": size, "backend": "pytorch", "device": "cpu"}
        options |= {"sigma": np.array([sigma], dtype=np.float32)} if sigma else {}
    else:
        options["window_sizes"] = [size]
    for name in ("rows", "n_streams"):
        options.pop(name)
    made = getattr(_classes(), asked["title"])
    last = ValueError("no seed was tried")
    for attempt in range(SEEDS):
        seed_all(seed + attempt)
        try:
            return made(reference, verbose=False, **options)
        except (ValueError, IndexError) as error:
            last = ValueError(str(error))
    raise last


def _alarming(detector: Any, reference: Rows, rows: Rows) -> float:  # noqa: ANN401 - as above
    """Return the share of the rows at which the detector's own rule alarms, from a fresh start.

    reference: takes the place of the one that the detector was configured with, and has as many rows.
    """
    own = getattr(detector, "_detector", detector)
    if hasattr(own, "k_xx"):
        own.x_ref = import_module("torch").from_numpy(np.ascontiguousarray(reference))
        own.k_xx = own.kernel(own.x_ref, own.x_ref)
        own._configure_ref_subset()  # noqa: SLF001 - what its constructor does after the thresholds
    else:
        own.x_ref = reference
        own._configure_ref()  # noqa: SLF001 - as above
    detector.reset_state()
    alarms = sum(int(detector.predict(row)["data"]["is_drift"]) for row in rows)
    return alarms / len(rows)


def _floats(values: Any) -> list[float]:  # noqa: ANN401 - an array, a tensor or a list
    return [float(value) for value in np.asarray(values, dtype=np.float64).ravel()]


def judges() -> dict[str, Judge]:
    """Return what can be asked, by name: each seeds all generators first."""
    known: dict[str, Judge] = {"columns": by_column, "permuted": permuted, "classified": classified}
    return {name: _seeded(judge) for name, judge in (known | {"stream": Streams()}).items()}


def _seeded(judge: Judge) -> Judge:
    def seeded(asked: Asked, reference: Rows, window: Rows) -> Answer:
        seed_all(asked["seed"])
        return judge(asked, reference, window)

    return seeded
