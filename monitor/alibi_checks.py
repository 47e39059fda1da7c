"""What `driftd check` and `driftd detectors` say of alibi-detect, and what can be wrong with its monitors."""

from collections.abc import Iterator
from pathlib import Path

from detectors.alibi import ALIBI, PREFIX, TAKES, is_alibi, named
from monitor.complaints import Complaint, Place, quoted
from monitor.config import Config, Features, Model, Monitor
from monitor.embedding_checks import OTHERS


def alibi_columns(model: Model, monitor: Monitor, place: Place) -> Complaint | None:
    """Return what is wrong with the columns of one of alibi-detect's monitors, as far as the file tells."""
    offer, on, features = named(monitor.detector), monitor.on, model.features or Features()
    if offer is None:
        return None
    if isinstance(on, str) and on not in OTHERS and not offer.of_vectors:
        says = f"{quoted(on)} is an embedding, and {monitor.detector} takes {TAKES[offer.takes]}"
        return Complaint((*place, "on"), f"{says}; write another detector, as alibi.mmd", _needs(place))
    if offer.takes not in {"numeric", "categorical"}:
        return None
    wrong = features.categorical if offer.takes == "numeric" else features.numeric
    other = "categorical" if offer.takes == "numeric" else "numeric"
    needs = _needs(place)
    given = on if isinstance(on, tuple) else ()
    bad = [name for name in given if name in wrong]
    says = f"{monitor.detector} takes {TAKES[offer.takes]}"
    if on == other or (on == "features" and wrong):
        return Complaint((*place, "on"), f'{says}; write on = "{offer.takes}", or a list of them', needs)
    return Complaint((*place, "on"), f"{says}; remove {bad[0]}", needs) if bad else None


def _needs(place: Place) -> tuple[Place, ...]:
    return ((*place[:2], "features"), (*place, "detector"))


def alibi_lines(config: Config) -> Iterator[str]:
    """Say what runs alibi-detect's monitors, where there are some."""
    wanted = {m.detector for model in config.models for m in model.monitors if is_alibi(m.detector)}
    if not wanted:
        return
    python = config.alibi.python
    torch = sorted(name for name in wanted if (offer := named(name)) is not None and offer.torch)
    if not installed(python, "alibi_detect"):
        yield f"alibi-detect: ABSENT at {python}: its monitors will be errors; run `driftd alibi install`"
    elif torch and not installed(python, "torch"):
        how = "run `driftd alibi install --torch`"
        yield f"alibi-detect: {python}, NO PyTorch there, which {torch[0]} needs: {how}"
    else:
        yield f"alibi-detect: {python}, under its own licence (docs/alibi.md)"


def installed(python: Path, package: str) -> bool:
    """Tell whether an environment holds a package, by its folder: nothing is run."""
    root = python.parent.parent
    return any(root.glob(f"lib/python3*/site-packages/{package}"))


def alibi_detector_lines() -> list[str]:
    """Return a line for each of alibi-detect's detectors."""
    return [
        f"{PREFIX + name:20} heavy    {TAKES[offer.takes]}; alibi-detect's {offer.title}"
        + (", with PyTorch" if offer.torch else "")
        for name, offer in ALIBI.items()
    ]
