"""The status page: one HTML page, made here, that runs no script and loads nothing."""

import base64
import hashlib
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)


class StatusPage:
    """Renders status.html. `headers` allow what it needs, its own style, and nothing else."""

    def __init__(self) -> None:
        style = STYLE.findall((FOLDER / "status.html").read_text(encoding="utf-8"))[0]
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
        rendered: str = self._template.render(shown)
        return rendered

    @cached_property
    def _template(self) -> Any:  # noqa: ANN401 - jinja2's type, which is there when somebody asks for the page
        from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - a start goes without

        env = Environment(
            loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        env.filters["grouped"] = _grouped
        env.filters["minute"] = _minute
        env.filters["short"] = _short
        return env.get_template("status.html")


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
