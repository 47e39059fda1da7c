"""Each format's request, as docs/webhooks.md configures it, is what the receiver's reference publishes."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from exporters import auth
from exporters.base import Delivered, Notification
from exporters.bodies.message import EXAMPLE
from exporters.contract import Answer, ScriptedReceiver
from exporters.webhook import Webhook as Endpoint
from monitor.clock import SystemClock
from monitor.config import Webhook
from monitor.forms import FORMS, make_form
from monitor.webhook_checks import OURS
from tests.json_schema import faults
from tests.pipeline_services import Services, ServiceServer

PAGE = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text(encoding="utf-8")
BLOCKS = [tomllib.loads(t) for t in re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)]
ID = EXAMPLE.id
PARTS: dict[str, Any] = {"id": ID, **json.loads(EXAMPLE.text)}
DESCRIPTION = f"driftd asks to retrain car-loan: drift. webhook-id: {ID}"
BODIES: dict[str, Any] = {
    "standard": json.loads(EXAMPLE.text),
    # github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
    "cloudevents": {
        "specversion": "1.0",
        "id": ID,
        "source": "/teams/risk/driftd",
        "type": "driftd.retrain.requested",
        "time": "2026-03-01T00:00:00Z",
        "subject": "car-loan",
        "datacontenttype": "application/json",
        "dataschema": "urn:driftd:webhook:retrain-requested:1#/properties/data",
        "data": PARTS["data"],
    },
    # airflow.apache.org/docs/apache-airflow/stable/stable-rest-api-ref.html, Trigger Dag Run
    "airflow": {"dag_run_id": ID, "logical_date": None, "conf": {**PARTS, "asked_by": "driftd"}},
    # docs.github.com/en/rest/repos/repos, Create a repository dispatch event
    "github": {"event_type": "retrain", "client_payload": PARTS},
    # argo-workflows.readthedocs.io/en/latest/events: any JSON
    "argo": PARTS,
    # kubeflow.org, Pipelines API Reference (v2beta1), POST /apis/v2beta1/runs
    "kubeflow": {
        "display_name": f"driftd {ID} car-loan",
        "description": DESCRIPTION,
        "pipeline_version_reference": {"pipeline_id": "0e0b6ab4-9b0c-4f0f-8a3a-3c0d6f6f6d11"},
        "runtime_config": {"parameters": {"model": "car-loan", "until": "2026-03-01T00:00:00Z"}},
    },
    # docs.aws.amazon.com/sagemaker/latest/APIReference/API_StartPipelineExecution.html
    "sagemaker": {
        "PipelineName": "car-loan-retraining",
        "ClientRequestToken": f"driftd-{ID}",
        "PipelineExecutionDisplayName": "driftd-msg-0123456789abcdef01234567",
        "PipelineExecutionDescription": DESCRIPTION,
        "PipelineParameters": [{"Name": "Model", "Value": "car-loan"}, {"Name": "Epochs", "Value": "10"}],
    },
    # cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.pipelineJobs
    "vertex": {
        "displayName": f"driftd {ID} car-loan",
        "templateUri": "https://europe-west1-kfp.pkg.dev/P/pipelines/retrain/latest",
        "runtimeConfig": {
            "gcsOutputDirectory": "gs://bucket/retraining",
            "parameterValues": {"model": "car-loan"},
        },
    },
    # learn.microsoft.com/en-us/azure/machine-learning/how-to-access-data-batch-endpoints-jobs, REST
    "azureml": {
        "properties": {
            "InputData": {
                "model": {"JobInputType": "Literal", "Value": "car-loan"},
                "request": {"JobInputType": "Literal", "Value": ID},
            }
        }
    },
    "template": {"text": "Retrain car-loan: income", "key": ID},
}
SERVED = ("airflow", "github", "argo", "kubeflow", "sagemaker", "vertex", "azureml")


def documented(kind: str, folder: Path) -> Webhook:
    """Return the webhook of that format in docs/webhooks.md, its template beside it."""
    (template,) = re.findall(r"^```text\n(\{.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (folder / "chat.json.j2").write_text(template)
    hooks = [hook for block in BLOCKS for hook in block.get("webhooks", {}).values()]
    (hook,) = [h for h in hooks if h.get("format", "standard") == kind]
    return Webhook.model_validate(hook, context={"folder": folder})


def test_every_format_has_an_example_and_a_golden_body() -> None:
    assert set(BODIES) == set(FORMS)


@pytest.mark.parametrize("kind", sorted(BODIES))
def test_the_body_is_the_published_one(kind: str, tmp_path: Path) -> None:
    message = make_form(documented(kind, tmp_path)).write(EXAMPLE)

    assert json.loads(message.body) == BODIES[kind]


@pytest.mark.parametrize("kind", SERVED)
def test_the_service_takes_it_and_a_repetition_too(kind: str, tmp_path: Path) -> None:
    hook, services = documented(kind, tmp_path), Services()
    with ServiceServer(services) as server:
        url = re.sub(r"^https://[^/]+", server.origin, hook.url)
        endpoint = Endpoint(
            url, auth.bearer(lambda: (b"a-token",)), 5, allow_private=True, form=make_form(hook)
        )
        note = Notification(ID, url, EXAMPLE.text, 0)
        got = [endpoint.send(note, SystemClock().now()) for _ in range(2)]

    assert services.refusals == []
    assert all(isinstance(delivery, Delivered) for delivery in got)
    assert len(services.runs) == (1 if kind in {"airflow", "sagemaker", "vertex"} else 2)
    first, second = services.asked
    assert (first.path, first.query, first.body) == (second.path, second.query, second.body)
    assert first.headers["webhook-id"] == ID


def test_airflow_2_gets_no_logical_date(tmp_path: Path) -> None:
    hook, services = documented("airflow", tmp_path), Services()
    with ServiceServer(services) as server:
        url = f"{server.origin}/api/v1/dags/retrain/dagRuns"
        older = hook.model_copy(update={"url": url})
        endpoint = Endpoint(
            url, auth.bearer(lambda: (b"a-token",)), 5, allow_private=True, form=make_form(older)
        )
        got = [endpoint.send(Notification(ID, url, EXAMPLE.text, 0), SystemClock().now()) for _ in range(2)]

    assert got == [Delivered(200), Delivered(409)]
    assert json.loads(services.asked[0].body) == {
        k: v for k, v in BODIES["airflow"].items() if k != "logical_date"
    }


def test_a_query_of_the_url_stays(tmp_path: Path) -> None:
    hook, services = documented("vertex", tmp_path), Services()
    with ServiceServer(services) as server:
        url = f"{server.origin}/v1/projects/P/locations/L/pipelineJobs?alt=json"
        endpoint = Endpoint(
            url, auth.bearer(lambda: (b"a-token",)), 5, allow_private=True, form=make_form(hook)
        )
        assert endpoint.send(Notification(ID, url, EXAMPLE.text, 0), SystemClock().now()) == Delivered(200)

    assert services.asked[0].query == {"alt": ["json"], "pipelineJobId": ["msg-0123456789abcdef01234567"]}


def test_the_event_of_the_docs_is_the_example_and_fits_the_schema() -> None:
    shown, *_ = re.findall(r"^```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    schema = json.loads((Path(__file__).parents[2] / "docs" / "webhook.schema.json").read_text())

    assert json.loads(shown) == json.loads(EXAMPLE.text)
    assert faults(schema, json.loads(shown)) == []


@pytest.mark.parametrize("kind", sorted(BODIES))
def test_no_header_of_ours_can_be_taken_by_a_secret(kind: str, tmp_path: Path) -> None:
    hook = documented(kind, tmp_path)
    with ScriptedReceiver(Answer(200)) as receiver:
        for way in (auth.signed(lambda: (b"x" * 32,)), auth.header("X-Api-Key", lambda: (b"k",))):
            endpoint = Endpoint(receiver.url, way, 5, allow_private=True, form=make_form(hook))
            endpoint.send(Notification(ID, receiver.url, EXAMPLE.text, 0), SystemClock().now())

    assert {name for seen in receiver.seen for name in seen.headers} <= OURS | {"authorization", "x-api-key"}
