"""What a webhook's format and authentication need, and what they have no use for."""

import re
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from exporters.bodies.arguments import FIELDS, named, unknown
from exporters.bodies.events import GITHUB_MOST, PARTS
from exporters.bodies.message import EXAMPLE, BodyError
from exporters.ssrf import special
from monitor.complaints import Complaint, Place
from monitor.config import Parameters, Webhook
from monitor.forms import make_form

HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
OURS = frozenset(
    {
        "accept", "azureml-model-deployment", "connection", "content-length", "content-type", "host",
        "transfer-encoding", "user-agent", "webhook-id", "webhook-signature", "webhook-timestamp",
        "x-amz-target", "x-github-api-version",
    }
)  # fmt: skip
"""Headers that requests have anyway."""


NEEDED = {
    "kubeflow": ("pipeline",),
    "sagemaker": ("pipeline",),
    "vertex": ("pipeline", "output"),
    "template": ("template",),
}
OPTIONAL = {
    "cloudevents": ("source",),
    "airflow": ("arguments",),
    "github": ("event_type", "arguments"),
    "argo": ("arguments",),
    "kubeflow": ("version", "experiment", "service_account", "arguments"),
    "sagemaker": ("arguments",),
    "vertex": ("service_account", "arguments"),
    "azureml": ("deployment", "arguments"),
}
"""The parameters of each format."""

PATHS = {
    "airflow": (r"/api/v[12]/dags/[^/]+/dagRuns", "/api/v2/dags/DAG/dagRuns (or /api/v1/... for Airflow 2)"),
    "github": (r"/repos/[^/]+/[^/]+/dispatches", "/repos/OWNER/NAME/dispatches"),
    "kubeflow": (r"/apis/v2beta1/runs", "/apis/v2beta1/runs"),
    "vertex": (r"/projects/[^/]+/locations/[^/]+/pipelineJobs", "/v1/projects/P/locations/L/pipelineJobs"),
    "azureml": (r"/jobs", "/jobs"),
}
"""How the path of a URL ends, where the receiver's interface says so, and how that is told."""

SHAPES = {
    "source": (r"[A-Za-z0-9:/?#@!$&'()*+,;=._~%\[\]-]+", 'is not a URI; write one like "/driftd"'),
    "event_type": (r"[^\x00-\x1f]{1,100}", "is empty or longer than 100 characters; write a shorter name"),
    "pipeline": (r"[^\x00-\x1f]{1,2048}", "is not the name of a pipeline; correct it"),
    "output": (r"gs://[^\s]+", 'is not a folder of Cloud Storage; write one like "gs://bucket/folder"'),
    "deployment": (r"[A-Za-z0-9_-]*", "is not the name of a deployment; write letters, digits, - and _"),
}
PIPELINES = {
    "sagemaker": (
        r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,255}|arn:aws[a-z-]*:sagemaker:[a-z0-9-]*:[0-9]{12}:pipeline/.+",
        "is neither the name nor the ARN of a pipeline; correct it",
    ),
    "vertex": (
        r"https://[^\s]+",
        'is not the URI of a template; write one like "https://REGION-kfp.pkg.dev/..."',
    ),
}
ARGUMENT_NAMES = {"sagemaker": r"[A-Za-z0-9_-]{1,256}"}
SAGEMAKER_MOST = 50


def authentication(webhook: Webhook, at: Place) -> Iterator[Complaint]:
    """Yield what is wrong with a webhook's auth, username, header, secret_file and secret_env."""
    files = (webhook.secret_file is not None, webhook.secret_env is not None)
    if webhook.auth == "none":
        for given, key in zip(files, ("secret_file", "secret_env"), strict=True):
            if given:
                yield Complaint((*at, key), 'is of no use with auth "none"; remove it, or write another auth')
    elif files[0] == files[1]:
        found, word = ("has both", "and") if files[0] else ("has neither", "nor")
        yield Complaint(at, f"{found} secret_file {word} secret_env; write one of them")
    yield from _named_only_where_used(webhook, at)
    if webhook.auth == "basic" and (":" in webhook.username or not webhook.username.isprintable()):
        yield Complaint((*at, "username"), "has a colon or an odd character; correct it")
    if webhook.auth == "header" and webhook.header and not HEADER_NAME.fullmatch(webhook.header):
        yield Complaint((*at, "header"), 'is not the name of a header; write one like "X-Api-Key"')
    elif webhook.auth == "header" and webhook.header.lower() in OURS:
        yield Complaint(
            (*at, "header"), 'is a header that driftd sets itself; write another, like "X-Api-Key"'
        )


def _named_only_where_used(webhook: Webhook, at: Place) -> Iterator[Complaint]:
    for key, auth in (("username", "basic"), ("header", "header")):
        given = bool(getattr(webhook, key))
        if webhook.auth == auth and not given:
            yield Complaint((*at, key), f'is missing; auth "{auth}" needs it')
        elif given and webhook.auth != auth:
            yield Complaint(
                (*at, key), f'is of no use with auth "{webhook.auth}"; remove it', ((*at, "auth"),)
            )


def body(webhook: Webhook, at: Place) -> Iterator[Complaint]:
    """Yield what is wrong between a webhook's format and its parameters."""
    kind, place = webhook.format, (*at, "parameters")
    found = [*_parameters(webhook, place), *_arguments(webhook, (*place, "arguments"))]
    needs = ((*at, "format"),)
    yield from (Complaint(c.at, c.says, needs) for c in found)
    if kind == "template" and not found:
        yield from _template(webhook, (*place, "template"))


def address(webhook: Webhook, at: Place) -> Iterator[Complaint]:
    """Yield what is wrong with a URL, right as such, for the webhook's format."""
    pattern, shown = PATHS.get(webhook.format, ("", ""))
    if pattern and not re.search(f"{pattern}/?$", urlsplit(webhook.url).path):
        says = f'is not one of format "{webhook.format}"; its path ends with {shown}'
        yield Complaint((*at, "url"), says, ((*at, "format"),))


def _parameters(webhook: Webhook, at: Place) -> Iterator[Complaint]:
    wish, kind = webhook.parameters, webhook.format
    needed = NEEDED.get(kind, ())
    allowed = (*needed, *OPTIONAL.get(kind, ()))
    for name in Parameters.model_fields:
        given = name in wish.model_fields_set
        if given and name not in allowed:
            yield Complaint((*at, name), f'is of no use with format "{kind}"; remove it')
        elif name in needed and not getattr(wish, name):
            yield Complaint((*at, name), f'is missing; format "{kind}" needs it')
        elif name in allowed and name in SHAPES:
            pattern, says = PIPELINES.get(kind, SHAPES[name]) if name == "pipeline" else SHAPES[name]
            if not re.fullmatch(pattern, getattr(wish, name)):
                yield Complaint((*at, name), says)


def _arguments(webhook: Webhook, at: Place) -> Iterator[Complaint]:
    arguments, kind = webhook.parameters.arguments, webhook.format
    for name in unknown(arguments):
        listed = ", ".join(f"${field}" for field in FIELDS)
        yield Complaint(
            (*at, name), f"begins with $ and names no part of the event; write one of {listed}, or $$"
        )
    if kind in {"airflow", "github", "argo"}:
        for name in arguments:
            if name in PARTS:
                yield Complaint((*at, name), "is a part of the event itself; choose another name")
    most = {"github": GITHUB_MOST - len(PARTS), "sagemaker": SAGEMAKER_MOST}.get(kind)
    if most is not None and len(arguments) > most:
        yield Complaint(at, f'has more than {most} entries, which "{kind}" does not take; remove some')
    for name, value in arguments.items():
        if not re.fullmatch(ARGUMENT_NAMES.get(kind, ".*"), name, re.DOTALL):
            yield Complaint((*at, name), "is not a name of a parameter; write letters, digits, - and _")
        if kind == "sagemaker" and named(value) == "event":
            yield Complaint(
                (*at, name), "is longer than the 1,024 characters that SageMaker takes; name parts of it"
            )


def _template(webhook: Webhook, at: Place) -> Iterator[Complaint]:
    try:
        make_form(webhook).write(EXAMPLE)
    except BodyError as error:
        yield Complaint(at, str(error))


def url_problem(url: str, instead: str = 'auth = "basic"') -> str:
    """Return what is wrong with a URL, "" where nothing is. instead: of a password in it."""
    try:
        parts = urlsplit(url)
        port_ok = parts.port is None or parts.port > 0
    except ValueError:
        return 'is not a URL; write one like "https://host/path"'
    if (
        re.search(r"[\s\x00-\x1f]", url)
        or parts.scheme not in {"http", "https"}
        or not (parts.hostname and port_ok)
    ):
        return 'is not an http or https URL with a host; write one like "https://host/path"'
    if parts.username is not None or parts.password is not None:
        return f"carries a user or a password; remove them, and write {instead} where they are needed"
    return ""


def private(host: str) -> str:
    """Return what makes a host no public one, as far as its text says; no name is looked up.

    The resolver reads the digits, as it will for the request: 127.1 and 0x7f000001 are 127.0.0.1.
    """
    if re.fullmatch(r"(.+\.)?localhost\.?", host, re.IGNORECASE):
        return "loopback"
    try:
        found = socket.getaddrinfo(host, None, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return ""  # a name: it is judged by its addresses, at each request
    return special(str(found[0][4][0]))
