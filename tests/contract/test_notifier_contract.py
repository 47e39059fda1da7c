"""Every notifier keeps the laws of exporters/contract.py."""

from collections.abc import Callable

import pytest

from exporters.base import Delivery, Notifier
from exporters.contract import LAWS, Answer, ContractBrokenError, Make, law_status_decides, outcomes
from exporters.contract import attempt as attempt_with
from exporters.webhook import Webhook
from tests.signing import by


def webhook(url: str) -> Notifier:
    return Webhook(url, by(b"0123456789abcdef01234567"), 1.0, allow_private=True)


def broken(law: Callable[..., None], *args: object) -> str:
    """Return what breaks the law, "" when it holds."""
    try:
        law(*args)
    except ContractBrokenError as error:
        return str(error)
    return ""


NOTIFIERS = pytest.mark.parametrize("make", [pytest.param(webhook, id="webhook")])


@NOTIFIERS
@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_keeps_the_law(make: Make, law: Callable[[Make], None]) -> None:
    assert broken(law, make) == ""


@NOTIFIERS
@pytest.mark.parametrize(("status", "expected"), outcomes().items())
def test_every_status_has_its_outcome(make: Make, status: int, expected: Delivery) -> None:
    assert broken(law_status_decides, make, status, expected) == ""


def test_a_broken_law_is_noticed() -> None:
    answered_500 = attempt_with(webhook, Answer(500))[0][0]
    assert "200" in broken(law_status_decides, webhook, 200, answered_500)
