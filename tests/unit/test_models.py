"""Opening a model on a state that another configuration left."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from monitor.core.labels import Labels, Record
from monitor.core.plan import Plan
from monitor.core.profiles import ALL, GroupKey
from monitor.core.state import Book, ModelState, dump_book, load_book
from monitor.errors import ConfigError
from monitor.models import with_window
from tests.logs import model, reference

HOUR = 3600 * 10**6
HOURLY = Plan.of(model(window=timedelta(hours=1)))
DAILY = Plan.of(model(window=timedelta(days=1)))


def test_the_length_of_windows_is_remembered() -> None:
    state, changes = with_window(HOURLY, ModelState("m"))

    assert (state.book.window, changes) == (HOUR, {})
    assert load_book(dump_book(state.book)) == state.book


def test_another_length_is_taken_on_when_nothing_is_open_and_volumes_are_learnt_anew() -> None:
    state = ModelState("m", book=Book(window=HOUR), volumes={("v1", ALL): (500, 510)})
    after, changes = with_window(DAILY, state)

    assert (after.book.window, after.volumes) == (24 * HOUR, {})
    assert changes == {("volume", "m", '["v1","all"]'): None}
    assert with_window(HOURLY, state)[0].volumes == state.volumes


def test_another_length_is_refused_while_windows_are_open() -> None:
    profile = reference(model()).profiles[ALL]
    state = ModelState("m", book=Book(window=HOUR), windows={GroupKey(0, "v1", ALL): profile})

    with pytest.raises(
        ConfigError, match=r'^models.m.window: the state has open windows of 1h; set "1h" again'
    ):
        with_window(DAILY, state)
    assert with_window(HOURLY, state)[0] == state


def test_another_length_is_refused_while_windows_wait_for_outcomes() -> None:
    record = Record(5, 0, np.zeros(1), np.zeros(1))
    labels = Labels(records={GroupKey(0, "v1", ALL): record})
    state = replace(ModelState("m", book=Book(window=HOUR)), labels=labels)

    with pytest.raises(ConfigError, match=r"windows of 1h that wait for outcomes"):
        with_window(DAILY, state)
