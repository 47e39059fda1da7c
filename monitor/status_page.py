"""What the status page shows: the status, worst models first, with what needs somebody at the top."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from monitor.budgeting import spent
from monitor.core.policy import Shown
from monitor.core.profiles import ALL
from monitor.performing import BASES
from monitor.responses import FIRING, Watching

WORST = tuple(
    map(str, (Shown.FIRING, Shown.ERROR, Shown.PENDING, Shown.NO_REFERENCE, Shown.INSUFFICIENT_DATA))
)
"""States that are shown apart, the worst first; the rest is calm."""
LATELY = 20
"""Episodes that are over and still shown."""
LONGEST = 200
"""Open episodes shown; the API has the rest."""
Item = Mapping[str, Any]


def page(
    status: Item, episodes: Sequence[Item], watching: Watching, *, problem: str, now: str
) -> dict[str, Any]:
    """Return what the template shows. problem: why the daemon is not ready, "" when it is."""
    open_ = [e for e in episodes if e["state"] == FIRING]
    shares = {plan.name: spent(plan, state) for plan, state in watching}
    models = [_model(m, [e for e in open_ if e["model"] == m["model"]], shares) for m in status["models"]]
    models.sort(key=_badness)
    waiting = [e for e in open_ if e["acknowledged"] is None]
    return {
        "problem": problem,
        "now": now,
        "version": version("driftd"),
        "models": models,
        "open": sorted(open_, key=_urgency)[:LONGEST],
        "untold": max(len(open_) - LONGEST, 0),
        "counts": {
            "open": len(open_),
            "waiting": len(waiting),
            "firing": sum(m["firing"] > 0 for m in models),
        },
        "over": [e for e in episodes if e["state"] != FIRING][:LATELY],
        "outbox": status["outbox"],
    }


def _model(model: Item, open_: Sequence[Item], shares: Mapping[str, float]) -> dict[str, Any]:
    states = model["states"]
    worst = next((word for word in WORST if states.get(word)), "ok" if states else "new")
    return {
        **model,
        "worst": "harm" if any(e["kind"] == "performance" for e in open_) else worst,
        "firing": states.get(str(Shown.FIRING), 0),
        "spent": shares[model["model"]],
        "sources": {name: counts for name, counts in model["sources"].items() if name},
    }


def _badness(model: Item) -> tuple[int, float, str]:
    """Harm before drift, then other states, then what is spent of the budget."""
    words = ("harm", *WORST, "new", "ok")
    return words.index(model["worst"]), -model["spent"], model["model"]


def _urgency(episode: Item) -> tuple[bool, bool, bool, bool, float]:
    """Not acknowledged first, harm first, all rows before a segment, then the largest share of its limit."""
    kind, score, limit = episode["kind"], episode["score"], episode["threshold"]
    share = score / limit if score is not None and limit else 0.0
    whole = episode["segment"] == ALL
    return episode["acknowledged"] is not None, kind != "performance", kind not in BASES, not whole, -share
