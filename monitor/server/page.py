"""The status page: one HTML page, made here, that runs no script and loads nothing."""

import base64
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)


class StatusPage:
    """Renders status.html. `headers` allow what it needs, its own style, and nothing else."""

    def __init__(self) -> None:
        folder = Path(__file__).parent
        env = Environment(
            loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        env.filters["grouped"] = _grouped
        env.filters["minute"] = _minute
        env.filters["short"] = _short
        self._template = env.get_template("status.html")
        style = STYLE.findall((folder / "status.html").read_text(encoding="utf-8"))[0]
        allowed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        self.headers = {
            "content-security-policy": f"default-src 'none'; style-src 'sha256-{allowed}'; base-uri 'none';"
            " form-action 'none'; frame-ancestors 'none'",
            "cache-control": "no-store",
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
        }

    def render(self, shown: Mapping[str, Any]) -> str:
        """Return the page; every text in it is escaped."""
        return self._template.render(shown)


def _grouped(count: int) -> str:
    """Write a count for people.

    >>> _grouped(1234567).split()
    ['1', '234', '567']
    """
    return f"{count:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def _minute(time: str | None) -> str:
    """Shorten a time to the minute.

    >>> _minute("2026-03-01T12:34:56.789Z")
    '2026-03-01 12:34'
    """
    return time[:16].replace("T", " ") if time else "\N{EM DASH}"


def _short(number: float | None) -> str:
    """Write a score; an absent one is a dash.

    >>> _short(0.123456)
    '0.123'
    """
    return "\N{EM DASH}" if number is None else f"{number:.3g}"
