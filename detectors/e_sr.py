"""The e-detector in Shiryaev-Roberts form: changes of a bounded stream's mean, at a stated rate of alarms."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from msgspec.structs import asdict

from detectors.bets import Plan, bets_of, in_turn
from detectors.mean_bound import Moments
from detectors.measure import Floats
from detectors.streaming import Alarms, Intake, Maker, Stored, pack

PIECE = 8192
"""Rows looked at together: enough for NumPy, few enough for the cache."""
LONGEST_FRAME = 2048
HIGHEST = 1e300
RELEASE = "1"
"""Of the rule: a state of other bets or other sums must not be gone on with."""


class ESR(Stored):
    """Shiryaev-Roberts sum of betting e-values over blocks of rows; for values in [0, 1].

    A gambler bets, with every row x, that the mean is above m: his money is multiplied by 1 + b (x / m - 1)
    with a bet b between 0 and 1. As long as the conditional mean is m at most, that factor is 1 at most on
    average. A new gambler arrives with every row, and M is the money of them all: before a change M minus the
    number of rows does not grow on average, so that M > arl takes arl rows or more on average, whatever the
    distribution is. After a change the money of those who came at its beginning grows exponentially. Eight
    bets are played side by side, M is their mean. They are sized for shifts from 0.08 to 0.8 standard
    deviations of the reference. m is an upper bound of the reference's mean with confidence 1 - risk
    (`upper_mean`), plus the tolerance. A fall of the mean is a rise of 1 - x; "both" is the mean of the two.

    It assumes that the rows (with `means`: the blocks) have no memory: where errors come in bursts m is not
    their conditional mean, and false alarms are far more frequent. Then use long blocks and `means`.

    Parameters
    ----------
    reference
        Sums of the reference's values, at least 2 (`moments_of`, `Pit.reference`).
    plan
        How it is asked to judge. The score is M, in rows; the threshold is `arl`.

    Raises
    ------
    ValueError
        When the reference is too small, or so extreme that no value could be a change.

    Examples
    --------
    The rate of errors goes from 0.1 to 0.2 at row 10,000.

    >>> rng = np.random.default_rng(7)
    >>> stream = ESR(Moments(50_000, 5_000.0, 5_000.0), Plan(arl=1e6))
    >>> calm = stream.feed((rng.random(10_000) < 0.1).astype(float))
    >>> drift = stream.feed((rng.random(10_000) < 0.2).astype(float))
    >>> calm.rows.tolist(), drift.rows[:2].tolist()
    ([], [10225, 10479])

    References
    ----------
    Shin, J., Ramdas, A., Rinaldo, A. (2022). E-detectors: a nonparametric framework for sequential change
    detection. arXiv 2203.03532.

    """

    name = "e_sr"

    def __init__(self, reference: Moments, plan: Plan | None = None) -> None:
        self._plan = plan or Plan()
        self._bets = bets_of(reference, self._plan)
        per_block = 1 if self._plan.means else self._plan.block
        self._frame = min(max(int(self._bets.frame / per_block), 1), LONGEST_FRAME)
        given = asdict(self._plan) | {"reference": [float(value) for value in asdict(reference).values()]}
        self._maker = Maker(self.name, RELEASE, given)
        self._begin()

    def _begin(self) -> None:
        self._intake = Intake()
        self._rest = np.empty(0)
        self._reset()

    def _reset(self) -> None:
        """Forget all rows: the money is gone, and nobody has come."""
        self._open(np.zeros(len(self._bets.base)))
        self._score = 0.0

    def _open(self, money: Floats) -> None:
        """Begin a frame: each bet's money in it is e^fortune (money + stakes)."""
        self._money = money
        self._fortune = np.zeros(len(money))
        self._stakes = np.zeros(len(money))
        self._blocks = 0

    @property
    def threshold(self) -> float:
        """The score above which is an alarm, in rows."""
        return float(self._plan.arl)

    @property
    def score(self) -> float:
        """M after the last whole block, in rows; 0 after an alarm."""
        return self._score

    def feed(self, values: Floats) -> Alarms:
        """Take the next rows, float64 [n] in [0, 1]; each alarm is the last row of a block."""
        inside = (values >= 0) & (values <= 1) | ~np.isfinite(values)
        if not inside.all():
            raise ValueError(f"e_sr takes values from 0 to 1, not {values[~inside][0]}")
        finite, places = self._intake.take(values)
        size, waiting = self._plan.block, len(self._rest)
        rows = np.concatenate([self._rest, finite])
        whole = len(rows) // size
        blocks, self._rest = rows[: whole * size].reshape(whole, size), rows[whole * size :].copy()
        found, scores = self._judge(blocks)
        ends = (np.array(found, dtype=np.int64) + 1) * size - 1 - waiting
        return Alarms(places[ends], np.array(scores))

    def _judge(self, blocks: Floats) -> tuple[list[int], list[float]]:
        found, scores = [], []
        piece = max(PIECE // self._plan.block, 1)
        for first in range(0, len(blocks), piece):
            part = blocks[first : first + piece]
            values = part.mean(axis=1, keepdims=True) if self._plan.means else part
            for at, score in self._alarms(self._bets.gains(values)):
                found.append(first + at)
                scores.append(score)
        return found, scores

    def _alarms(self, gains: Floats) -> Iterator[tuple[int, float]]:
        at = 0
        while at < gains.shape[1]:
            sums = self._accumulate(gains[:, at : at + self._frame - self._blocks])
            over = np.flatnonzero(sums > self._plan.arl)
            if len(over):
                at += int(over[0]) + 1
                self._reset()
                yield at - 1, float(sums[over[0]])
            else:
                at += len(sums)

    def _accumulate(self, gains: Floats) -> Floats:
        """Go over some blocks of one frame, at least one, and return M after each of them.

        With S the sum of the gains, the money is e^S (money before + b + b e^-S1 + b e^-S2 + ...): two
        cumulative sums. Both go on one value after the other from where they stood, and frames end where
        they do whatever the chunks are, so it does not matter where the stream is cut.
        """
        fortune = _onward(self._fortune, gains)
        stakes = _onward(self._stakes, self._plan.block * np.exp(-fortune[:, :-1]))
        with np.errstate(over="ignore"):  # beyond the first alarm of the chunk, where all is made again
            money = np.exp(fortune[:, 1:]) * (self._money[:, None] + stakes[:, 1:])
            sums = np.minimum(in_turn(money) / len(money), HIGHEST)
        self._fortune, self._stakes = fortune[:, -1].copy(), stakes[:, -1].copy()
        self._score = float(sums[-1])
        self._blocks += len(sums)
        if self._blocks == self._frame:
            self._open(money[:, -1].copy())
        return sums

    def dump(self) -> bytes:
        """Return the state; it names the reference and the plan."""
        arrays = (self._money, self._fortune, self._stakes, self._rest)
        state = {"arrays": [a.tolist() for a in arrays], "blocks": self._blocks, "score": self._score}
        return pack(self._maker, self._intake, state)

    def _go_on(self, state: Mapping[str, Any]) -> None:
        self._money, self._fortune, self._stakes, self._rest = map(np.array, state["arrays"])
        self._blocks, self._score = state["blocks"], state["score"]


def _onward(start: Floats, steps: Floats) -> Floats:
    """Return the running sums [bets, n + 1] of steps [bets, n] from `start`, which comes first."""
    return np.add.accumulate(np.concatenate([start[:, None], steps], axis=1), axis=1)
