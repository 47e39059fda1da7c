"""alibi-detect's detectors, asked through driftd's process, keep the laws of detectors/joint_contract.py."""

from collections.abc import Iterator, Mapping

import numpy as np
import pytest

from detectors.alibi import ALIBI
from detectors.joint import Asked, Compare, Comparison, Joint, Option
from detectors.joint_contract import LAWS, Bench
from tests.alibi.environments import alibi_of, close_all

QUICK = [name for name, offer in ALIBI.items() if not offer.stream]
"""The online ones take half a minute for each reference; tests/alibi/test_oracle.py tries them."""


@pytest.fixture(scope="module", autouse=True)
def _ended() -> Iterator[None]:
    yield
    close_all()


def asking(name: str) -> Compare:
    """Return the detector as the others are: a refusal is an error."""

    def compare(
        reference: Joint, window: Joint, level: float, options: Mapping[str, Option], seed: int
    ) -> Comparison:
        found = alibi_of(name).compare(Asked(f"alibi.{name}", reference, window, level, options, seed))
        if isinstance(found, Comparison):
            return found
        raise (ValueError if found.reason == "refused" else AssertionError)(found.note)

    return compare


def rows(name: str, seed: int, n: int, shift: float = 0.0) -> Joint:
    """Return rows of the columns that a detector takes."""
    rng, takes = np.random.default_rng(seed), ALIBI[name].takes
    numbers = 3.0 + rng.normal(size=(n, 1)) + 0.5 * rng.normal(size=(n, 3))
    numbers[:, 0] += shift
    codes = rng.choice(4, p=[0.6, 0.3, 0.08, 0.02], size=(n, 2)).astype(np.int32)
    codes[:, 0] = np.where(rng.random(n) < shift / 2.5, 3, codes[:, 0])
    none, nothing = numbers[:, :0], codes[:, :0]
    if takes == "numeric":
        return Joint(("a", "b", "c"), numbers, nothing)
    return Joint(("x", "y"), none, codes) if takes != "any" else Joint(tuple("abcxy"), numbers, codes)


def bench(name: str) -> Bench:
    return Bench(rows(name, 1, 400), rows(name, 2, 200), rows(name, 3, 200, 2.0))


OF_NUMBERS = ("constants_and_extremes_are_no_trouble",)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("name", QUICK)
def test_law(name: str, law: str) -> None:
    if law in OF_NUMBERS and ALIBI[name].takes not in {"numeric", "any"}:
        law = "one_seed_gives_one_answer"
    assert list(LAWS[law](asking(name), bench(name))) == []
