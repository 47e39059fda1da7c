"""The false-alarm budget: how small a level each monitor may spend on each window."""

from datetime import timedelta

SEQUENTIAL_PART = 0.25
"""Of the budget: what monitors share that gather evidence over windows, where there are any beside others."""


def level(budget: tuple[float, timedelta], window: timedelta, monitors: int) -> float:
    """Return the level per monitor and window that keeps the expected number of breaches in the budget.

    The expected number of false breaches is the sum of all levels, whatever the dependence between
    features or windows (Bonferroni's inequality in its expectation form), so an equal share for each of
    the `monitors` x `windows` judgements in the budget's time is enough.

    Parameters
    ----------
    budget
        How many false episodes may be expected, and in which time.
    window
        The length of one window.
    monitors
        How many verdicts one window gives, at least 1.

    Examples
    --------
    >>> round(1 / level((1.0, timedelta(days=30)), timedelta(hours=1), 25))
    18000

    """
    if window <= timedelta(0) or budget[1] <= timedelta(0) or budget[0] <= 0 or monitors < 1:
        raise ValueError("budget, its time, the window and the number of monitors must be above zero")
    windows = budget[1] / window
    return min(budget[0] / (monitors * windows), 0.5)
