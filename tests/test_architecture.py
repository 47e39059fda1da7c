"""The rules of docs/architecture.md, held by reading the syntax trees."""

import ast
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("monitor", "detectors", "exporters")
"""What runs."""
FILE_LINES, FUNCTION_LINES = 300, 50

LAYERS = (
    (
        "types",
        "clock",
        "errors",
        "failures",
        "quantities",
        "fields",
        "grafana_table",
        "otlp_table",
        "alibi_table",
        "registry_table",
        "web",
        "native",
        "config",
    ),
    ("core",),
    ("sources", "decoders", "store", "server"),
)
"""Inside monitor, lowest first; what is in no layer is the shell. Nothing imports a layer above its own."""
CORE_SEES = ("types", "errors", "failures", "fields", "config", "native", "core")
CORE_REFUSES = {"time", "sqlite3", "threading", "logging", "os"}
NATIVE_SEES = {"collections", "ctypes", "functools", "typing", "msgspec", "numpy", "polars", "detectors"}
NATIVE_READS = {
    "monitor/native/library.py": {"os", "pathlib"},  # the switch; the library
    "monitor/native/sources.py": {"hashlib", "pathlib"},  # the C sources
}
"""What monitor/native needs to read its own files, and nothing else does there."""

ANYWHERE = {"msgspec", "numpy", "polars"}
NAMED_IN = {
    "pydantic": {
        "monitor/alibi_table.py",
        "monitor/config.py",
        "monitor/fields.py",
        "monitor/grafana_table.py",
        "monitor/otlp_table.py",
        "monitor/registry_table.py",
        "monitor/web.py",
        "monitor/server/bodies.py",
    },
    "click": {  # a file for each group of commands
        "monitor/alibi_commands.py",
        "monitor/cli.py",
        "monitor/dashboard_commands.py",
        "monitor/options.py",
        "monitor/web_commands.py",
        "monitor/webhook_commands.py",
    },
    "starlette": {"monitor/server/http.py", "monitor/server/api.py"},
    "uvicorn": {"monitor/server/http.py", "monitor/server/limits.py"},  # the server, its bounds
    "apscheduler": {"monitor/cron.py", "monitor/schedule.py"},  # when: crontab lines, and again and again
    "jinja2": {
        "monitor/server/page.py",
        "exporters/bodies/template.py",
    },  # the status page; users' own bodies
    "httpx2": {"exporters/webhook.py", "exporters/mlflow.py"},  # URLs, and the certificates to trust
    "httpcore2": {"exporters/webhook.py", "exporters/bounded.py"},  # the request, its bounds
    "scipy": {  # distribution functions, lazily
        "detectors/allowance.py",
        "detectors/intervals.py",
        "detectors/mean_bound.py",
        "detectors/probability.py",
        "detectors/pvalues.py",
        "detectors/score_calibration.py",
    },
    "sklearn": {"detectors/direct_loss.py", "detectors/domain_classifier.py"},  # fitting trees, lazily
    "opentelemetry": {  # spans, log records and the wire format, in one package
        "exporters/otlp/identity.py",
        "exporters/otlp/logs.py",
        "exporters/otlp/metrics.py",
        "exporters/otlp/sending.py",
        "exporters/otlp/traces.py",
    },
    "standardwebhooks": {"exporters/auth.py", "monitor/receiver.py"},  # one signs, the other verifies
}
"""Libraries whose file is decided; every other one is named in any one file."""
DECLARED_AS = {
    "sklearn": "scikit_learn",
    "niquests": "grafana_client",  # which brings it
    "opentelemetry": "opentelemetry_sdk",
    "google": "opentelemetry_exporter_otlp_proto_http",  # brings its protobuf
    "grpc": "opentelemetry_exporter_otlp_proto_grpc",
}
SECRET = {"secret", "token", "password", "auth", "url"}
PLAIN_VALUES = ("monitor/client/", "dashboards/building/")
"""What is imported by others than the daemon, and makes its values with the standard library alone."""
PRINTERS = {
    "monitor/cli.py",
    "monitor/receiver.py",  # a small program of its own: python -m monitor.receiver
}
CLOCKS = {"monitor/clock.py"}
CALLS_LIBC = {"monitor/memory.py", "monitor/store/mapping.py"}


@dataclass(frozen=True)
class Module:
    """A source file and its syntax tree."""

    path: Path

    @cached_property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def imports(self) -> tuple[str, ...]:
        found: list[str] = []
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.name}: relative import"
                found += [f"{node.module}.{alias.name}" for alias in node.names]
        return tuple(found)


MODULES = [Module(p) for package in (*PACKAGES, "dashboards") for p in sorted((ROOT / package).rglob("*.py"))]
Check = Callable[[Module], None]


def each(within: str) -> Callable[[Check], Callable[[], None]]:
    """Make one test of a check of each module in a folder; thousands of tests would cost a minute."""

    def made(check: Check) -> Callable[[], None]:
        def whole() -> None:
            for module in (m for m in MODULES if m.name.startswith(within)):
                try:
                    check(module)
                except AssertionError as error:
                    error.add_note(f"in {module.name}")
                    raise

        return whole

    return made


each_module, each_of_monitor, each_of_core = each(""), each("monitor/"), each("monitor/core/")
each_of_native = each("monitor/native/")


def layer(part: str) -> int:
    return next((i for i, names in enumerate(LAYERS) if part in names), len(LAYERS))


def own(imports: Iterable[str]) -> Iterator[str]:
    yield from (name.split(".")[1] for name in imports if name.startswith("monitor."))


@each_module
def test_imports_point_one_way(module: Module) -> None:
    package = module.name.split("/")[0]
    others = set(PACKAGES) - {package} if package != "monitor" else set()

    assert not {name.split(".")[0] for name in module.imports} & others


@each_of_monitor
def test_no_layer_of_the_monitor_imports_one_above(module: Module) -> None:
    height = layer(module.path.relative_to(ROOT / "monitor").parts[0].removesuffix(".py"))

    assert not [part for part in own(module.imports) if layer(part) > height]


@each_of_core
def test_the_core_knows_no_clock_no_disk_and_no_threads(module: Module) -> None:
    assert not {name.split(".")[0] for name in module.imports} & CORE_REFUSES
    assert set(own(module.imports)) <= set(CORE_SEES)


@each_of_native
def test_the_native_library_reads_its_own_files_and_does_nothing_else(module: Module) -> None:
    seen = {name.split(".")[0] for name in module.imports} - {"monitor"}
    named = [n for n in ast.walk(module.tree) if isinstance(n, ast.Attribute)]
    calls = {ast.unparse(n.func).split(".")[-1] for n in ast.walk(module.tree) if isinstance(n, ast.Call)}

    assert seen <= NATIVE_SEES | NATIVE_READS.get(module.name, set())
    assert {ast.unparse(n) for n in named if ast.unparse(n.value) == "os"} <= {"os.environ"}
    assert not calls & {"open", "write_bytes", "write_text", "unlink", "rename", "replace", "mkdir"}


@each_module
def test_c_of_our_own_is_called_in_one_folder(module: Module) -> None:
    foreign = {name.split(".")[0] for name in module.imports} & {"ctypes", "cffi"}

    assert not foreign or module.name.startswith("monitor/native/") or module.name in CALLS_LIBC


def libraries() -> dict[str, set[str]]:
    users: dict[str, set[str]] = defaultdict(set)
    for module in MODULES:
        if module.name.startswith("dashboards/"):
            continue  # builds what is shipped, and does not run with it
        for name in module.imports:
            users[name.split(".")[0]].add(module.name)
    ours = {*PACKAGES, "dashboards", "alert_rules", *sys.stdlib_module_names}
    return {library: files for library, files in users.items() if library not in ours}


def test_each_library_is_named_in_one_file() -> None:
    spread = {
        library: sorted(files)
        for library, files in libraries().items()
        if library not in ANYWHERE
        and not files <= NAMED_IN.get(library, set())
        and (len(files) > 1 or library in NAMED_IN)
    }

    assert spread == {}


def test_every_library_in_use_is_a_declared_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = chain.from_iterable(project["optional-dependencies"].values())
    named = chain(project["dependencies"], extras)
    declared = {re.split(r"[<>=\[; ]", d)[0].replace("-", "_") for d in named}

    assert {DECLARED_AS.get(library, library) for library in libraries()} <= declared


def test_alibi_detect_stays_apart() -> None:
    pinned = [
        (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8") for name in ("runtime", "dev")
    ]
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")

    assert not any(re.search(r"^\W*alibi", text, re.MULTILINE) for text in (*pinned, project))
    assert [name for name in ("alibi", "alibi_detect", "torch") if find_spec(name)] == []


@each_module
def test_files_and_functions_are_short(module: Module) -> None:
    assert len(module.text.splitlines()) <= FILE_LINES
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= FUNCTION_LINES, f"{node.name} has {length} lines"


@each_module
def test_values_are_structs_unless_a_field_is_hidden(module: Module) -> None:
    dataclasses = {"dataclasses", "dataclasses.dataclass"} & set(module.imports)
    hidden = re.search(r"field\([^()]*repr=False", module.text)

    assert not dataclasses or hidden or module.name.startswith(PLAIN_VALUES)
    assert not (dataclasses and "msgspec.Struct" in module.imports), "their fields differ"


@each_module
def test_no_struct_shows_a_secret(module: Module) -> None:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ClassDef) and "Struct" in map(ast.unparse, node.bases):
            fields = {ast.unparse(part.target) for part in node.body if isinstance(part, ast.AnnAssign)}

            assert not fields & SECRET, f"{node.name}: a Struct's text has every field"


@each_module
def test_only_the_clock_reads_the_time(module: Module) -> None:
    readers = {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "datetime.today", "date.today"}
    calls = {ast.unparse(n.func) for n in ast.walk(module.tree) if isinstance(n, ast.Call)}

    assert module.name in CLOCKS or not {".".join(c.split(".")[-2:]) for c in calls} & readers


@each_module
def test_no_exception_is_swallowed(module: Module) -> None:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"line {node.lineno}: bare except"
            idle = all(isinstance(s, ast.Pass) or is_text(s) for s in node.body)
            assert not idle, f"line {node.lineno}: the handler does nothing"


@each_module
def test_only_the_command_line_prints_or_exits(module: Module) -> None:
    calls = {ast.unparse(n.func) for n in ast.walk(module.tree) if isinstance(n, ast.Call)}

    assert module.name in PRINTERS or not calls & {"print", "sys.exit", "exit", "sys.stdout.write"}


@each_module
def test_nothing_happens_at_import(module: Module) -> None:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    allowed = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, *functions)
    for node in module.tree.body:
        guarded = isinstance(node, ast.If) and re.match(r"TYPE_CHECKING|__name__", ast.unparse(node.test))
        assert isinstance(node, allowed) or is_text(node) or guarded, f"line {node.lineno}: runs at import"


@each_module
def test_no_global_changes(module: Module) -> None:
    assert not [n for n in ast.walk(module.tree) if isinstance(n, ast.Global)]


@each_module
def test_no_file_has_a_name_that_says_nothing(module: Module) -> None:
    assert module.path.stem not in {"util", "utils", "helper", "helpers", "common", "misc"}


@each_module
def test_nothing_is_pickled(module: Module) -> None:
    assert not {name.split(".")[0] for name in module.imports} & {"pickle", "cloudpickle", "dill", "shelve"}


def is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def test_no_committed_file_names_a_package_registry() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    hosts = "|".join(
        (r"py" + r"pi\.org", r"python" + r"hosted\.org", r"npm" + r"js\.org", r"debian" + r"\.org")
    )
    options = "|".join("--" + name for name in ("index-url", "extra-index-url", "find-links", "trusted-host"))
    pattern = re.compile(f"{hosts}|^({options}|-i )\\b".encode(), re.MULTILINE)
    named = [
        name
        for name in listed.split("\0")
        if name and (ROOT / name).is_file() and pattern.search((ROOT / name).read_bytes())
    ]

    assert named == []


def test_there_is_one_lock() -> None:
    assert not (ROOT / "uv.lock").exists()
