"""Stand-ins for the services that start pipelines: each holds a request against its published form.

One server plays them all, by the path. A request that the real one would refuse gets the status that the real
one would give, and its reason is kept.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Annotated, Any, Literal, Self
from urllib.parse import parse_qs, urlsplit

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

Scalar = bool | int | float | str


class Shape(BaseModel):
    """A request's body; what the service does not know is an error."""

    model_config = ConfigDict(extra="forbid", strict=True)


class DagRun2(Shape):
    """Airflow 3, POST /api/v2/dags/{dag_id}/dagRuns: TriggerDAGRunPostBody, logical_date being required."""

    dag_run_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.~:+-]+$")] | None = None
    logical_date: AwareDatetime | None
    conf: dict[str, Any] | None = None
    note: str | None = None


class DagRun1(Shape):
    """Airflow 2, POST /api/v1/dags/{dag_id}/dagRuns: DAGRun; a logical_date cannot be null."""

    dag_run_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.~:+-]+$")] | None = None
    logical_date: str = ""
    conf: dict[str, Any] = {}


class Dispatch(Shape):
    """GitHub, POST /repos/{owner}/{repo}/dispatches (docs.github.com/en/rest/repos/repos)."""

    event_type: Annotated[str, Field(min_length=1, max_length=100)]
    client_payload: Annotated[dict[str, Any], Field(max_length=10)] = {}


class VersionReference(Shape):
    pipeline_id: str
    pipeline_version_id: str = ""


class RuntimeConfig(Shape):
    parameters: dict[str, Any] = {}
    pipeline_root: str = ""


class KubeflowRun(Shape):
    """Kubeflow Pipelines v2beta1, POST /apis/v2beta1/runs: Run (kubeflow.org, Pipelines API Reference)."""

    display_name: Annotated[str, Field(min_length=1)]
    description: str = ""
    experiment_id: str = ""
    pipeline_version_reference: VersionReference
    runtime_config: RuntimeConfig
    service_account: str = ""


class PipelineParameter(Shape):
    Name: Annotated[str, Field(pattern=r"^[A-Za-z0-9\-_]*$", max_length=256)]
    Value: Annotated[str, Field(max_length=1024)]


class StartPipelineExecution(Shape):
    """SageMaker (docs.aws.amazon.com/sagemaker/latest/APIReference/API_StartPipelineExecution.html)."""

    PipelineName: Annotated[str, Field(pattern=r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,255}$")]
    ClientRequestToken: Annotated[str, Field(min_length=32, max_length=128)]
    PipelineExecutionDisplayName: Annotated[str, Field(pattern=r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,81}$")]
    PipelineExecutionDescription: Annotated[str, Field(max_length=3072)]
    PipelineParameters: Annotated[list[PipelineParameter], Field(max_length=50)]


class VertexRuntime(Shape):
    gcsOutputDirectory: Annotated[str, Field(pattern="^gs://")]  # noqa: N815 - the service's names
    parameterValues: dict[str, Scalar]  # noqa: N815


class PipelineJob(Shape):
    """Vertex AI (cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.pipelineJobs)."""

    displayName: Annotated[str, Field(min_length=1, max_length=128)]  # noqa: N815
    templateUri: Annotated[str, Field(pattern="^https://")]  # noqa: N815
    runtimeConfig: VertexRuntime  # noqa: N815
    serviceAccount: str = ""  # noqa: N815


class LiteralInput(Shape):
    JobInputType: Literal["Literal"]
    Value: Scalar


class BatchProperties(Shape):
    InputData: dict[str, LiteralInput]


class BatchJob(Shape):
    """Azure ML (learn.microsoft.com/azure/machine-learning/how-to-access-data-batch-endpoints-jobs)."""

    properties: BatchProperties


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came. headers: names in lower case."""

    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class Services:
    """What the services remember. runs: key of each started run, and its request, in their order."""

    token: str = "a-token"  # noqa: S105 - of the test
    asked: list[Asked] = field(default_factory=list)
    runs: dict[str, Any] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)

    def answer(self, asked: Asked) -> int:
        """Return the status that the service would give."""
        self.asked.append(asked)
        if asked.headers.get("authorization") != f"Bearer {self.token}":
            self.refusals.append("authorization")
            return 401
        for pattern, hear in HEARERS:
            if re.fullmatch(pattern, asked.path):
                try:
                    return hear(self, asked)
                except (ValidationError, LookupError) as error:
                    self.refusals.append(str(error))
                    return 422
        self.refusals.append(f"path {asked.path}")
        return 404

    def start(self, key: str, run: Shape, *, repeated: int, started: int = 200) -> int:
        """Start a run, once for each key."""
        if key in self.runs:
            return repeated
        self.runs[key] = run
        return started


def _airflow2(services: Services, asked: Asked) -> int:
    run = DagRun2.model_validate_json(asked.body)
    return services.start(str(run.dag_run_id), run, repeated=409)


def _airflow1(services: Services, asked: Asked) -> int:
    run = DagRun1.model_validate_json(asked.body)
    return services.start(str(run.dag_run_id), run, repeated=409)


def _github(services: Services, asked: Asked) -> int:
    if asked.headers["accept"] != "application/vnd.github+json":
        return 415
    run = Dispatch.model_validate_json(asked.body)
    return services.start(f"run-{len(services.runs)}", run, repeated=204, started=204)


def _argo(services: Services, asked: Asked) -> int:
    services.runs[f"run-{len(services.runs)}"] = json.loads(asked.body)
    return 200


def _kubeflow(services: Services, asked: Asked) -> int:
    run = KubeflowRun.model_validate_json(asked.body)
    return services.start(f"run-{len(services.runs)}", run, repeated=200)


def _sagemaker(services: Services, asked: Asked) -> int:
    if asked.headers["x-amz-target"] != "SageMaker.StartPipelineExecution":
        return 404
    if asked.headers["content-type"] != "application/x-amz-json-1.1":
        return 404
    run = StartPipelineExecution.model_validate_json(asked.body)
    known = services.runs.get(run.ClientRequestToken)
    if known is not None and known != run:
        return 400  # the token of another request
    return services.start(run.ClientRequestToken, run, repeated=200)


def _vertex(services: Services, asked: Asked) -> int:
    (key,) = asked.query["pipelineJobId"]
    if not re.fullmatch(r"[a-z][-a-z0-9]{0,127}", key):
        return 400
    return services.start(key, PipelineJob.model_validate_json(asked.body), repeated=409)


def _azureml(services: Services, asked: Asked) -> int:
    run = BatchJob.model_validate_json(asked.body)
    return services.start(f"run-{len(services.runs)}", run, repeated=200)


HEARERS: tuple[tuple[str, Callable[[Services, Asked], int]], ...] = (
    (r"/api/v2/dags/[^/]+/dagRuns", _airflow2),
    (r"/api/v1/dags/[^/]+/dagRuns", _airflow1),
    (r"/repos/[^/]+/[^/]+/dispatches", _github),
    (r"/api/v1/events/[^/]+/[^/]*", _argo),
    (r"/apis/v2beta1/runs", _kubeflow),
    (r"/prod/retrain", _sagemaker),
    (r"/v1/projects/[^/]+/locations/[^/]+/pipelineJobs", _vertex),
    (r"/jobs", _azureml),
)


class ServiceServer:
    """The services behind a port of 127.0.0.1; use it as a context manager."""

    def __init__(self, services: Services, port: int = 0) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(services))
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(services: Services) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_POST(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            url = urlsplit(self.path)
            body = self.rfile.read(int(headers["content-length"]))
            self.send_response(services.answer(Asked(url.path, parse_qs(url.query), headers, body)))
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            """Say nothing."""

    return Handler
