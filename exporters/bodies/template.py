"""A body of the user's own: a Jinja template that sees the event and nothing else, and has to give JSON."""

import json
from functools import partial

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from exporters.bodies.message import BodyError, Event, Form, Message

RENDERED_BYTES = 64 * 1024
FAULTS = (TemplateError, ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What expressions of a template raise."""


def template(source: str) -> Form:
    """Return the form that a template's text describes; nothing is escaped, as JSON is no HTML.

    It may use id, type, timestamp and data, and has no loader, so it cannot include other files. Raises
    BodyError when the text is no template.
    """
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
    environment.policies["json.dumps_function"] = partial(json.dumps, default=_refuse_object)
    try:
        compiled = environment.from_string(source)
    except TemplateSyntaxError as error:
        raise BodyError(f"line {error.lineno} of the template: {error.message}") from error
    return Form(lambda event: Message(_json(_rendered(compiled, event))))


def _rendered(compiled: Template, event: Event) -> bytes:
    """Return what the template gives; a piece beyond the limit is its last."""
    found = bytearray()
    try:
        for piece in compiled.generate(event.parts()):
            found += piece.encode()
            if len(found) > RENDERED_BYTES:
                break
    except FAULTS as error:
        raise BodyError(f"the template fails: {type(error).__name__}: {error}") from error
    return bytes(found)


def _json(text: bytes) -> bytes:
    if len(text) > RENDERED_BYTES:
        raise BodyError(f"the template gives more than {RENDERED_BYTES:,} bytes; shorten it")
    try:
        json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        place = f" at line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise BodyError(
            f"what the template gives is not JSON{place}; write values as {{{{ x | tojson }}}}"
        ) from error
    return text


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _refuse_object(value: object) -> str:
    """Say what `tojson` cannot write: a name that is not there by that name, anything else by its type."""
    if isinstance(value, StrictUndefined):
        return str(value)  # raises UndefinedError, which names it
    raise TypeError(f"a {type(value).__name__} is not JSON; add | list before | tojson")
