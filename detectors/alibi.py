"""The detectors of alibi-detect that driftd offers: what each takes, its options, and what it makes of rows.

Nothing of alibi-detect is here: it is run by a program of its own (docs/alibi.md). This is what goes in;
`alibi_answers` is what comes out.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from msgspec import Struct, field

from detectors.joint import Option

PREFIX = "alibi."
SIMULATIONS = 10
"""Simulated streams for each row of the expected run time; with fewer the thresholds are chance."""
Takes = Literal["numeric", "categorical", "binary", "any"]
TAKES = {
    "numeric": "numeric columns",
    "categorical": "categorical columns",
    "binary": "categorical columns, and numeric ones of 0 and 1",
    "any": "all columns",
}


class Choice(Struct, frozen=True):
    """An option that is one of some words."""

    default: str
    words: tuple[str, ...]

    def problem(self, value: Option) -> str:
        """Return what is wrong with a value, "" when nothing is."""
        known = ", ".join(f'"{word}"' for word in self.words)
        return "" if isinstance(value, str) and value in self.words else f"must be one of {known}"


class Number(Struct, frozen=True):
    """An option that is a number from `low` to `high`; a whole one where the default is."""

    default: int | float
    low: float
    high: float

    def problem(self, value: Option) -> str:
        """Return what is wrong with a value, "" when nothing is."""
        whole = isinstance(self.default, int)
        fits = isinstance(value, int) if whole else isinstance(value, int | float)
        if isinstance(value, bool) or not fits or not self.low <= float(value) <= self.high:
            return f"must be a {'whole ' if whole else ''}number from {self.low:g} to {self.high:g}"
        return ""


class Flag(Struct, frozen=True):
    """An option that is true or false."""

    default: bool

    def problem(self, value: Option) -> str:
        """Return what is wrong with a value, "" when nothing is."""
        return "" if isinstance(value, bool) else "must be true or false"


Kind = Choice | Number | Flag


class Offer(Struct, frozen=True):
    """One detector. title: alibi-detect's class. rows: how many of each side it is given at most by default.

    by_column: it tests each column and corrects for their number; the others see whole rows. torch: it needs
    PyTorch. stream: it goes over the window's rows one by one.
    """

    title: str
    takes: Takes
    rows: int
    options: Mapping[str, Kind] = field(default_factory=dict)
    by_column: bool = False
    torch: bool = False
    stream: bool = False

    @property
    def of_vectors(self) -> bool:
        """Tell whether it may be on an embedding, of hundreds of numbers: streams by column take too long."""
        return self.takes in {"numeric", "any"} and not (self.stream and self.by_column)

    @property
    def accepts(self) -> Mapping[str, Kind]:
        """Return its options, the one that all have too."""
        return {"rows": Number(self.rows, 50, 10_000), **self.options}


Options = dict[str, Kind]
CORRECTION: Options = {"correction": Choice("bonferroni", ("bonferroni", "fdr"))}
SIDED: Options = {"alternative": Choice("two-sided", ("two-sided", "less", "greater"))}
PERMUTED: Options = {"n_permutations": Number(300, 30, 10_000)}
SPLIT: Options = {
    "train_size": Number(0.75, 0.1, 0.9),
    "n_folds": Number(0, 0, 20),
    "binarize_preds": Flag(default=False),
}
TRAINED: Options = {
    "epochs": Number(10, 1, 200),
    "learning_rate": Number(0.01, 1e-6, 1.0),
    "batch_size": Number(32, 4, 1024),
}
SIGMA: Options = {"sigma": Number(0.0, 0.0, 1e6)}
ONLINE: Options = {
    "ert": Number(100, 10, 1_000_000),
    "window_size": Number(20, 5, 500),
    "n_bootstraps": Number(1000, 100, 100_000),
    "n_streams": Number(100, 30, 1000),
}
RIDGE: Options = {"lambda_rd_max": Number(0.2, 0.01, 1.0)}
DIFFS: Options = {"n_diffs": Number(1, 1, 10), "l1_reg": Number(0.01, 0.0, 10.0)}
MODELS = Choice("gradient_boosting", ("gradient_boosting", "random_forest", "logistic_regression"))

ALIBI: Mapping[str, Offer] = MappingProxyType(
    {
        "ks": Offer("KSDrift", "numeric", 2000, CORRECTION | SIDED, by_column=True),
        "cvm": Offer("CVMDrift", "numeric", 2000, CORRECTION, by_column=True),
        "chi2": Offer("ChiSquareDrift", "categorical", 2000, CORRECTION, by_column=True),
        "tabular": Offer("TabularDrift", "any", 2000, CORRECTION | SIDED, by_column=True),
        "fet": Offer("FETDrift", "binary", 2000, CORRECTION | SIDED, by_column=True),
        "mmd": Offer("MMDDrift", "any", 500, PERMUTED | SIGMA, torch=True),
        "lsdd": Offer("LSDDDrift", "any", 1000, PERMUTED | SIGMA | RIDGE, torch=True),
        "spot_the_diff": Offer(
            "SpotTheDiffDrift",
            "any",
            2000,
            SPLIT | TRAINED | DIFFS,
            torch=True,
        ),
        "classifier": Offer("ClassifierDrift", "any", 2000, SPLIT | {"model": MODELS}),
        "learned_kernel": Offer(
            "LearnedKernelDrift",
            "any",
            1000,
            PERMUTED | TRAINED | {"train_size": Number(0.75, 0.1, 0.9), "hidden": Number(16, 1, 256)},
            torch=True,
        ),
        "online_cvm": Offer("CVMDriftOnline", "numeric", 500, ONLINE, by_column=True, stream=True),
        "online_fet": Offer(
            "FETDriftOnline",
            "binary",
            500,
            ONLINE | {"alternative": Choice("greater", ("greater", "less")), "lam": Number(0.99, 0.01, 1.0)},
            by_column=True,
            stream=True,
        ),
        "online_mmd": Offer("MMDDriftOnline", "any", 500, ONLINE | SIGMA, torch=True, stream=True),
    }
)
"""By name without the prefix; `detector = "alibi.<name>"`."""


def named(detector: str) -> Offer | None:
    """Return what a configured name offers, None where it is none of alibi-detect's.

    >>> named("alibi.ks").title
    'KSDrift'
    """
    return ALIBI.get(detector.removeprefix(PREFIX)) if detector.startswith(PREFIX) else None


def is_alibi(detector: str) -> bool:
    """Tell whether a configured name is one of alibi-detect's."""
    return named(detector) is not None


def wrong_options(detector: str, options: Mapping[str, Option]) -> dict[str, str]:
    """Return what is wrong with a detector's options, by option.

    >>> wrong_options("alibi.mmd", {"n_permutations": 5, "sides": 2})["n_permutations"]
    'must be a whole number from 30 to 10000'
    """
    accepts = ALIBI[detector.removeprefix(PREFIX)].accepts
    wrong = {name: kind.problem(options[name]) for name, kind in accepts.items() if name in options}
    known = ", ".join(sorted(accepts))
    if "ert" in accepts and not any(wrong.values()):
        ert, bootstraps = (options.get(name, accepts[name].default) for name in ("ert", "n_bootstraps"))
        few = float(bootstraps) < SIMULATIONS * float(ert)
        wrong["n_bootstraps"] = f"must be at least {SIMULATIONS} times ert, which is {ert}" if few else ""
    wrong |= {name: f"is no option of {detector}; it has {known}" for name in options if name not in accepts}
    return {name: says for name, says in wrong.items() if says}


def completed(detector: str, options: Mapping[str, Option]) -> dict[str, Option]:
    """Return the options with the defaults of those that are absent. ValueError: one is wrong."""
    for name, says in wrong_options(detector, options).items():
        raise ValueError(f"{name} {says}")
    accepts = ALIBI[detector.removeprefix(PREFIX)].accepts
    return {name: options.get(name, kind.default) for name, kind in accepts.items()}
