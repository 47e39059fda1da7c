"""The join as plain Python makes it, one prediction after the other: what the fast one is held against."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from tests.lives import HOUR, Answer, Guess, Sheet, answers, guesses, minute

Policy = Literal["last", "first"]


@dataclass(frozen=True)
class Case:
    """Two logs."""

    guesses: tuple[Guess, ...]
    answers: tuple[Answer, ...]

    def sheets(self, cuts: Iterable[int] = (), others: Iterable[int] = ()) -> tuple[Sheet, Sheet]:
        """Return both logs as sources, cut at these places."""
        return Sheet(guesses(self.guesses), [*cuts]), Sheet(answers(self.answers), [*others], "outcomes-1")


@dataclass(frozen=True)
class Met:
    """One prediction's outcomes in the order in which they take effect."""

    guess: Guess
    outcomes: tuple[Answer, ...]
    policy: Policy

    @property
    def winner(self) -> Answer | None:
        return self._best(self.outcomes)

    @property
    def again(self) -> Counter[str]:
        """Count what came when there was an outcome already."""
        found: Counter[str] = Counter()
        for n, outcome in enumerate(self.outcomes[1:], 1):
            best = self._best(self.outcomes[:n])
            found["repeated" if best and best.label == outcome.label else "conflicting"] += 1
        return found

    @property
    def lag(self) -> float:
        """Seconds until the first outcome that counted."""
        ticks = [effect(self.guess, outcome) for outcome in self.outcomes]
        first = self._best([o for o, tick in zip(self.outcomes, ticks, strict=True) if tick == ticks[0]])
        return max(60 * (first.at - self.guess.at), 0.0) if first else 0.0

    def _best(self, outcomes: Sequence[Answer]) -> Answer | None:
        choose = max if self.policy == "last" else min
        return choose(outcomes, key=lambda o: (o.at, o.label), default=None)


def tick(at: float) -> int:
    return (minute(at) // HOUR + 1) * HOUR


def effect(guess: Guess, outcome: Answer) -> int:
    return max(tick(guess.at), tick(outcome.at))


def naive(case: Case, policy: Policy, horizon: int) -> list[Met]:
    """Join as slowly and plainly as can be."""
    found = []
    for guess in case.guesses:
        mine = [o for o in case.answers if o.id == guess.id and abs(o.at - guess.at) <= horizon]
        ordered = sorted((effect(guess, o), o.at, o.label, o) for o in mine)
        found.append(Met(guess, tuple(o for *_, o in ordered), policy))
    return found
