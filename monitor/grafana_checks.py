"""What is wrong between the keys of [exporters.grafana]."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from monitor.complaints import Complaint, Place
from monitor.grafana_table import Grafana

UID = re.compile(r"[A-Za-z0-9_-]{1,40}")
"""What Grafana takes as a data source's uid."""


def grafana(table: Grafana, at: Place) -> Iterator[Complaint]:
    """Yield the complaints about the table at this place."""
    for key in ("url", "datasource_url", "runbooks"):
        address: str = getattr(table, key)
        if (address or key == "url") and (problem := _address_problem(address)):
            yield Complaint((*at, key), problem)
    if table.datasource and not UID.fullmatch(table.datasource):
        says = "is not a data source's uid: up to 40 letters, digits, dashes or underscores; correct it"
        yield Complaint((*at, "datasource"), says)
    if (table.token_file is None) == (table.token_env is None):
        found = "has neither token_file nor" if table.token_file is None else "has both token_file and"
        yield Complaint(at, f"{found} token_env; write one of them")


def _address_problem(address: str) -> str:
    """Say what is wrong with an address, without quoting it."""
    try:
        parts = urlsplit(address)
        reachable = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        reachable, parts = False, urlsplit("")
    if not reachable or parts.scheme not in {"http", "https"} or re.search(r"[\s\x00-\x1f]", address):
        return 'is not an http or https URL with a host; write one like "https://host/path"'
    if parts.username is not None or parts.password is not None:
        return "carries a user or a password; remove them, and use a service account's token"
    return "carries a query or a fragment; remove it" if parts.query or parts.fragment else ""
