"""What can be wrong with `[models.registry]`, and its token."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from monitor.complaints import Complaint, Place
from monitor.config import Config, Model
from monitor.keys import as_webhook, read_keys
from monitor.registry_table import Registry
from monitor.webhook_checks import private, url_problem


def registry(wish: Registry, at: Place) -> Iterator[Complaint]:
    """Yield what is wrong between the keys of one registry."""
    problem = url_problem(wish.mlflow, "username and token_file")
    if problem:
        yield Complaint((*at, "mlflow"), problem)
    elif "?" in wish.mlflow or "#" in wish.mlflow:
        yield Complaint((*at, "mlflow"), "has a query; write the server's own URL, what comes before /api")
    elif not wish.allow_private and (kind := private(urlsplit(wish.mlflow).hostname or "")):
        says = f"leads to an address that is not public ({kind}); if it shall, write allow_private = true"
        yield Complaint((*at, "mlflow"), says, needs=((*at, "allow_private"),))
    if wish.token_file is not None and wish.token_env is not None:
        yield Complaint(at, "has both token_file and token_env; write one of them")
    if wish.username and wish.token_file is None and wish.token_env is None:
        yield Complaint((*at, "username"), "is of no use without a password; write token_file or token_env")
    elif ":" in wish.username or not wish.username.isprintable():
        yield Complaint((*at, "username"), "has a colon or an odd character; correct it")


def tokens(config: Config, environ: Mapping[str, str]) -> tuple[dict[str, bytes], list[Complaint]]:
    """Return the registries' tokens by model, and what is wrong with them."""
    found: dict[str, bytes] = {}
    wrong: list[Complaint] = []
    for place, model in enumerate(config.models):
        wish = model.registry
        if wish is None or (wish.token_file is None) == (wish.token_env is None):
            continue  # none, or the cross checks say so
        try:
            found[model.name] = read_keys(as_webhook(wish), environ)[0]
        except ValueError as error:
            key = "token_env" if wish.token_file is None else "token_file"
            wrong.append(Complaint(("models", place, "registry", key), str(error)))
    return found, wrong


def with_passes(models: Iterable[Model], found: Mapping[str, bytes]) -> tuple[Model, ...]:
    """Return the models, their registries with the tokens."""
    return tuple(
        model.model_copy(update={"registry": model.registry.keyed(found[model.name])})
        if model.registry is not None and model.name in found
        else model
        for model in models
    )


def inline(raw: Mapping[str, Any], says: str) -> Iterator[Complaint]:
    """Take tokens out of a parsed file, and yield a complaint for each."""
    models = raw.get("models")
    for place, model in enumerate(models if isinstance(models, list) else []):
        registry = model.get("registry") if isinstance(model, dict) else None
        for key in ("secret", "token"):
            if isinstance(registry, dict) and registry.pop(key, None) is not None:
                yield Complaint(("models", place, "registry", key), says)
