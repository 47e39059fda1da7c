"""What may be posted: strict bodies; whatever else comes is named in one line, without its value."""

from typing import Annotated, Literal, TypeVar

from pydantic import Field, ValidationError

from monitor.fields import Strict

Word = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Text = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]
Body = TypeVar("Body", bound=Strict)
SAID = {
    "missing": "is missing",
    "extra_forbidden": "is not known",
    "string_type": "must be text",
    "string_too_short": "is empty",
    "string_too_long": "is too long",
    "string_pattern_mismatch": "has control characters",
}


class AckBody(Strict):
    """Who looks after an episode, and why it is no surprise or what is done."""

    who: Word
    why: Text


class RetrainBody(Strict):
    """How a retraining goes; run: the pipeline's own name for it; version: what came of it."""

    state: Literal["started", "finished", "failed"]
    run: Word
    version: Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""


def read_body(kind: type[Body], data: bytes) -> Body:
    """Read a body. Raises ValueError, which says all that is wrong in one line."""
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        raise ValueError("; ".join(_said(f["type"], f["loc"], f["msg"]) for f in faults[:10])) from error


def _said(kind: str, at: tuple[str | int, ...], says: str) -> str:
    name = ".".join(str(part) for part in at)[:100] or "the body"
    if kind == "json_invalid":
        return "the body is not JSON"
    if kind == "model_type":
        return "the body must be an object"
    return f"{name} {SAID.get(kind, f'is not right: {says}')}"
