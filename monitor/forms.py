"""From a configured webhook to the form of its bodies."""

from collections.abc import Callable, Mapping

from exporters.bodies import events, pipelines
from exporters.bodies.message import BodyError, Form, standard
from monitor.config import Parameters, Webhook

TEMPLATE_BYTES = 64 * 1024


def make_form(webhook: Webhook) -> Form:
    """Return the form of a webhook's bodies. Raises BodyError for a template that cannot be used."""
    return FORMS[webhook.format](webhook)


def _cloud_event(webhook: Webhook) -> Form:
    from exporters.bodies.cloud_event import cloud_event  # noqa: PLC0415 - the library only when needed

    return cloud_event(webhook.parameters.source)


def _airflow(webhook: Webhook) -> Form:
    return events.airflow(webhook.parameters.arguments, first_api="/api/v1/dags/" in webhook.url)


def _github(webhook: Webhook) -> Form:
    return events.github(webhook.parameters.event_type, webhook.parameters.arguments)


def _azureml(webhook: Webhook) -> Form:
    return pipelines.azureml(webhook.parameters.arguments, webhook.parameters.deployment)


def _run(webhook: Webhook) -> pipelines.Run:
    wish = webhook.parameters
    return pipelines.Run(wish.pipeline, wish.arguments, wish.version, wish.experiment, wish.service_account)


def _template(webhook: Webhook) -> Form:
    from exporters.bodies.template import template  # noqa: PLC0415 - the library only when needed

    return template(_source(webhook.parameters))


def _source(wish: Parameters) -> str:
    if wish.template is None:
        raise BodyError("there is no template; write its path")
    try:
        with wish.template.open("rb") as file:
            text = file.read(TEMPLATE_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        raise BodyError("names a file that cannot be read; correct the path") from error
    if len(text) > TEMPLATE_BYTES:
        raise BodyError(f"names a file of more than {TEMPLATE_BYTES:,} bytes; shorten it")
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise BodyError("names a file that is not UTF-8; save it as UTF-8") from error


FORMS: Mapping[str, Callable[[Webhook], Form]] = {
    "standard": lambda _webhook: standard(),
    "cloudevents": _cloud_event,
    "airflow": _airflow,
    "github": _github,
    "argo": lambda webhook: events.argo(webhook.parameters.arguments),
    "kubeflow": lambda webhook: pipelines.kubeflow(_run(webhook)),
    "sagemaker": lambda webhook: pipelines.sagemaker(_run(webhook)),
    "vertex": lambda webhook: pipelines.vertex(_run(webhook), webhook.parameters.output),
    "azureml": _azureml,
    "template": _template,
}
"""Each format's form."""
