"""What is known of a window beside its cells: predicted classes, and what was gathered of faulty values."""

from msgspec import Struct

from detectors.table import Counts


class Classes(Struct, frozen=True, eq=False):
    """The predicted classes of a window, and how the model errs in the reference.

    names: of the K classes. columns: the features that decide them. confusion: [K, K], the reference's rows
    by (true class, predicted class). predicted: [K], the window's rows by predicted class.
    """

    names: tuple[str, ...]
    columns: tuple[str, ...]
    confusion: Counts
    predicted: Counts


class Fault(Struct, frozen=True):
    """What was gathered of one kind of faulty values of one feature, up to a window.

    score: the e-detector, in windows. n: rows of the window that were looked at; known: the reference's.
    share: of the window's rows that are faulty. usual: how many of them may be, as the bets have it.
    """

    score: float
    n: int
    known: int
    share: float
    usual: float
