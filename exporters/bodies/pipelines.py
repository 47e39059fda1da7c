"""Receivers that start a pipeline with named arguments: Kubeflow, SageMaker, Vertex AI, Azure ML."""

from collections.abc import Mapping
from urllib.parse import quote

from msgspec import Struct, field

from exporters.bodies.arguments import Value, fields, filled, written
from exporters.bodies.message import Event, Form, Message, compact

CONFLICT = 409
NAME_MOST = 128
TOKEN_LEAST, TOKEN_MOST = 32, 128
SAGEMAKER_VALUE = 1024
SAGEMAKER_NAME = 82
AWS_JSON = b"application/x-amz-json-1.1"
AWS_TARGET = ((b"x-amz-target", b"SageMaker.StartPipelineExecution"),)


class Run(Struct, frozen=True):
    """Which pipeline to run. version, experiment and account may be empty: the receiver's defaults then."""

    pipeline: str
    arguments: Mapping[str, Value] = field(default_factory=dict)
    version: str = ""
    experiment: str = ""
    account: str = ""


def kubeflow(run: Run) -> Form:
    """Return the form of POST /apis/v2beta1/runs; the key is in the name and the description of the run."""

    def write(event: Event) -> Message:
        source = {"pipeline_id": run.pipeline, "pipeline_version_id": run.version}
        body = {
            "display_name": _name(event),
            "description": _description(event),
            "pipeline_version_reference": _given(source),
            "runtime_config": {"parameters": filled(run.arguments, event)},
            **_given({"experiment_id": run.experiment, "service_account": run.account}),
        }
        return Message(compact(body))

    return Form(write)


def sagemaker(run: Run) -> Form:
    """Return the form of StartPipelineExecution; its ClientRequestToken makes a repetition harmless."""

    def write(event: Event) -> Message:
        values = {name: written(v)[:SAGEMAKER_VALUE] for name, v in filled(run.arguments, event).items()}
        body = {
            "PipelineName": run.pipeline,
            "ClientRequestToken": _token(event),
            "PipelineExecutionDisplayName": f"driftd-{_dashed(event)}"[:SAGEMAKER_NAME],
            "PipelineExecutionDescription": _description(event),
            "PipelineParameters": [{"Name": name, "Value": value} for name, value in values.items()],
        }
        return Message(compact(body), AWS_JSON, AWS_TARGET)

    return Form(write)


def vertex(run: Run, output: str) -> Form:
    """Return the form of pipelineJobs.create; the job's id is the key, so a repetition is answered with 409.

    run.pipeline: the template's URI. output: the gs:// folder for artifacts.
    """

    def write(event: Event) -> Message:
        config = {"gcsOutputDirectory": output, "parameterValues": filled(run.arguments, event)}
        body = {
            "displayName": _name(event)[:NAME_MOST],
            "templateUri": run.pipeline,
            "runtimeConfig": config,
            **_given({"serviceAccount": run.account}),
        }
        return Message(compact(body), query=b"pipelineJobId=" + quote(_dashed(event)).encode())

    return Form(write, frozenset({CONFLICT}))


def azureml(arguments: Mapping[str, Value], deployment: str) -> Form:
    """Return the form of a batch endpoint's POST jobs, whose deployment is a pipeline component.

    The receiver knows no key of ours: hand it to the pipeline with an argument "$id".
    """
    headers = ((b"azureml-model-deployment", deployment.encode()),) if deployment else ()

    def write(event: Event) -> Message:
        inputs = {
            name: {"JobInputType": "Literal", "Value": v} for name, v in filled(arguments, event).items()
        }
        return Message(compact({"properties": {"InputData": inputs}}), headers=headers)

    return Form(write)


def _given(texts: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in texts.items() if text}


def _name(event: Event) -> str:
    return f"driftd {event.id} {fields(event)['model']}".rstrip()


def _description(event: Event) -> str:
    known = fields(event)
    return f"driftd asks to retrain {known['model']}: {known['kinds']}. webhook-id: {event.id}"


def _token(event: Event) -> str:
    """Return the key in 32 to 128 characters."""
    return f"driftd-{event.id}".ljust(TOKEN_LEAST, "-")[:TOKEN_MOST]


def _dashed(event: Event) -> str:
    """Return the key as an id of lower-case letters, digits and dashes."""
    return event.id.lower().replace("_", "-")
