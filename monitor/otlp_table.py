"""The table [exporters.otlp]: where metrics, traces and logs are sent, and what of them."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr
from pydantic.json_schema import SkipJsonSchema

from monitor.fields import Duration, Local, Name, Strict, within

FILE_BYTES = 64 * 1024


class Header(Strict):
    """A header's value, from a file or a variable. `value` is filled from there, never printed."""

    file: Local | None = None
    env: str | None = None
    value: SkipJsonSchema[SecretStr] = Field(default=SecretStr(""), exclude=True)


class Otlp(Strict):
    """A collector: how to reach it, how often, and what it gets."""

    endpoint: str
    protocol: Literal["http", "grpc"] = "http"
    interval: Annotated[Duration, within("1s", "1d")] = timedelta(seconds=30)
    timeout: Annotated[Duration, within("100ms", "10m")] = timedelta(seconds=10)
    metrics: bool = True
    traces: bool = False
    sample_ratio: float = Field(default=1.0, ge=0, le=1)
    logs: bool = False
    service_name: str = Field(default="driftd", min_length=1, max_length=255)
    ca_file: Local | None = None
    headers: dict[Name, Header] = Field(default_factory=dict)

    def keyed(self, values: dict[str, str]) -> "Otlp":
        """Return the table with its headers' values."""
        filled = {
            name: header.model_copy(update={"value": SecretStr(values[name])}) if name in values else header
            for name, header in self.headers.items()
        }
        return self.model_copy(update={"headers": filled})


def header_value(file: Path) -> str:
    """Return the header's value that a file holds. Raises ValueError without quoting."""
    try:
        with file.open("rb") as opened:
            text = opened.read(FILE_BYTES + 1)
    except OSError as error:
        says = "names a file that cannot be read; check the path and its permissions"
        raise ValueError(says) from error
    if len(text) > FILE_BYTES:
        raise ValueError(f"holds more than {FILE_BYTES:,} bytes, which is no header; correct the path")
    return usable(text.decode("latin-1"))


def usable(text: str) -> str:
    """Return the text as a header carries it. Raises ValueError without quoting it."""
    found = text.strip()
    if not found or not found.isascii() or not found.isprintable():
        raise ValueError("holds no text that a header can carry; write one line of plain letters")
    return found
