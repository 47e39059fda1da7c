"""What a configuration asks for, built beside what runs: nothing of it is committed or sent yet.

A start is the first time; a reload is the same with models that run already. Those that the new
configuration leaves as they are stay the very objects; the others are opened on the state they have.
"""

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct, field

from detectors.calibration import Calibrator
from monitor.config import Config, Model
from monitor.core.row_files import SPACE as FILES
from monitor.core.state import ModelState, load_model
from monitor.models import WatchedModel, open_model
from monitor.shelves import Shelves
from monitor.store.base import Store
from monitor.store.rejects import RejectsFile
from monitor.store.segments import MemorySegments, Shelf
from monitor.types import Changes, EntryKey
from monitor.worker import Tools


class Recall(Protocol):
    """Where the models' states are."""

    @property
    def running(self) -> Mapping[str, WatchedModel]:
        """The models that run."""

    def __call__(self, name: str) -> tuple[ModelState, Shelf]:
        """Return a model's last committed state, and its shelf."""


class Memory(Struct, frozen=True):
    """A daemon's states: with the models that run, else in the store. entries: its, where they were read."""

    store: Store
    shelves: Shelves
    running: Mapping[str, WatchedModel]
    entries: Mapping[EntryKey, bytes] | None = None

    def __call__(self, name: str) -> tuple[ModelState, Shelf]:
        """Return a model's last committed state, and its shelf."""
        if name in self.running:
            return self.running[name].worker.state, self.shelves.by_model[name]
        entries = self.store.load(name, without=FILES) if self.entries is None else self.entries
        shelf = self.shelves.add(name, entries)
        return load_model(name, entries, shelf.reopen), shelf


class Nothing(Struct, frozen=True):
    """Models without a past."""

    running: Mapping[str, WatchedModel] = field(default_factory=dict)

    def __call__(self, name: str) -> tuple[ModelState, Shelf]:
        """Return an empty state."""
        return ModelState(name), MemorySegments()


class Built(Struct, frozen=True):
    """All that follows from a configuration. changes: by model, what opening it brings into the store."""

    config: Config
    models: tuple[WatchedModel, ...]
    changes: Mapping[str, Changes]


def build(config: Config, recall: Recall, tools: Tools) -> Built:
    """Open the models that do not run as configured.

    Raises DriftdError where one cannot be opened; what runs has not been touched then.
    """
    calibrator = Calibrator(tools.run)
    models: list[WatchedModel] = []
    changes: dict[str, Changes] = {}
    for model in config.models:
        before = recall.running.get(model.name)
        if before is not None and before.serves(config, model):
            models.append(before)
            continue
        state, shelf = recall(model.name)
        opened, made = open_model(config, model, state, tools, (calibrator, shelf.keep), before)
        models.append(opened)
        changes[model.name] = made
    return Built(config, tuple(models), changes)


def rejects_files(config: Config) -> dict[str, RejectsFile]:
    """Return where each model's rejected rows go."""
    folder, most = config.daemon.state / "rejects", config.daemon.rejects_max
    return {model.name: RejectsFile(folder, model.name, most) for model in config.models}


def unlike(before: Config, after: Config) -> frozenset[str]:
    """Return the models that are not in both configurations, or not the same in them."""
    old, new = _by_name(before), _by_name(after)
    return frozenset(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def _by_name(config: Config) -> dict[str, tuple[Model, int]]:
    return {model.name: (model, config.daemon.max_line) for model in config.models}
