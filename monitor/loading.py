"""Read config.toml: one frozen Config, or one ConfigError that names everything wrong with it."""

import copy
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from monitor.complaints import Complaint, Place, table_at, translate, write
from monitor.config import Config, Daemon, examine
from monitor.crosschecks import check
from monitor.errors import ConfigError
from monitor.grafana_token import checked, inline_token, with_token
from monitor.keys import read_keys
from monitor.otlp_checks import headers_of, otlp_complaints, with_headers
from monitor.registry_checks import inline, tokens, with_passes
from monitor.web_checks import check_web

INLINE = "must not stand in this file; write secret_file with a path, or secret_env with a variable's name"

SOURCE = {"role": "predictions", "type": "files", "path": "placeholder"}
MODEL = {"name": "placeholder", "reference": {}, "sources": [SOURCE]}
PLACEHOLDERS: Mapping[str, object] = {
    **SOURCE, **MODEL, "models": [MODEL], "detector": "", "webhook": "", "when": ["drift"], "url": "",
    "champion": "", "challenger": "", "mlflow": "", "endpoint": "http://placeholder:1",
}  # fmt: skip
"""Stand-ins for required keys that are missing or broken, so that the rest can still be checked."""


def load(path: Path, environ: Mapping[str, str] | None, detectors: Collection[str] | None = None) -> Config:
    """Return the configuration in the file, its paths absolute and its secrets read.

    environ: where `secret_env` is looked up; None for who sends nothing: no secret is read then. detectors:
    the names a monitor may use; None: any.
    Raises ConfigError with every complaint, one line each.
    """
    raw = _read(path)
    folder = path.absolute().parent.resolve()
    inline = list(_inline_secrets(raw))
    raw.setdefault("daemon", {})
    found = examine(raw, folder)
    complaints = inline + (translate(found, raw) if isinstance(found, tuple) else [])
    broken = [c.at for c in complaints]
    config = examine(_repaired(raw, broken), folder) if isinstance(found, tuple) else found
    if isinstance(config, Config):
        keys, wrong = _secrets(config, environ) if environ is not None else ({}, [])
        token, wrong_token = checked(config, environ) if environ is not None else ("", [])
        wrong += check_web(config.daemon.web, environ) if environ is not None else ()
        values, unread = headers_of(config, environ)
        passes, bad = tokens(config, environ) if environ is not None else ({}, [])
        wrong += [*wrong_token, *unread, *bad]
        found_wrong = (*check(config, detectors), *otlp_complaints(config), *wrong)
        complaints += [c for c in found_wrong if not _void(c, broken)]
    if complaints or not isinstance(config, Config):
        lines = list(dict.fromkeys(write(str(path), c) for c in complaints))
        raise ConfigError(lines, lasting=bool(broken))
    hooks = {n: webhook.keyed(*keys[n]) if n in keys else webhook for n, webhook in config.webhooks.items()}
    exporters = with_headers(with_token(config.exporters, token), values)
    daemon = _with_tokens(config.daemon, environ or {})
    models = with_passes(config.models, passes)
    parts = {"webhooks": hooks, "exporters": exporters, "daemon": daemon, "models": models}
    return config.model_copy(update=parts)


def _with_tokens(daemon: Daemon, environ: Mapping[str, str]) -> Daemon:
    """Return the daemon's table with the tokens of the variable that it names."""
    return daemon.model_copy(update={"web": daemon.web.holding(environ.get(daemon.web.token_env or "", ""))})


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        reason = error.strerror or "cannot be opened"
        raise ConfigError([f"{path}: cannot be read ({reason}); give the path with --config"]) from error
    except UnicodeDecodeError as error:
        says = f"{path}: is not UTF-8 at byte {error.start}; save it as UTF-8"
        raise ConfigError([says], lasting=True) from error
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError; so is a huge number
        raise ConfigError([_syntax(path, str(error))], lasting=True) from error


def _syntax(path: Path, says: str) -> str:
    """Name the line; the parser speaks of keys and single characters, never of values."""
    found = re.fullmatch(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", says, re.DOTALL)
    if found is None:
        return f"{path}: is not TOML (a number too long or tables too deep); correct the file"
    place = f"line {found[2]}" if found[2] else "last line"
    return f"{path}:{place}: is not TOML ({found[1]}); correct the line"


def _inline_secrets(raw: Mapping[str, Any]) -> Iterator[Complaint]:
    hooks = raw.get("webhooks")
    for name, hook in (hooks if isinstance(hooks, dict) else {}).items():
        if isinstance(hook, dict) and hook.pop("secret", None) is not None:
            yield Complaint(("webhooks", name, "secret"), INLINE)
    yield from inline_token(raw)
    yield from inline(raw, INLINE.replace("secret_", "token_"))


def _repaired(raw: Mapping[str, Any], broken: list[Place]) -> dict[str, Any]:
    """Return the file without its broken parts; required ones are replaced."""
    fixed = copy.deepcopy(dict(raw))
    for at in sorted(broken, key=lambda place: (-len(place), str(place))):
        _repair(fixed, at)
    return fixed


def _repair(root: Any, at: Place) -> None:  # noqa: ANN401  # a parsed file is made of anything
    if isinstance(at[-1], int):
        _repair(root, at[:-1])  # a list is as broken as its element
        return
    node = root
    for part in at[:-1]:
        if isinstance(node, dict) and part not in node:
            return
        node = node[part]
    field = table_at(at[:-1]).model_fields.get(at[-1])
    if field is not None and field.is_required():
        node[at[-1]] = copy.deepcopy(PLACEHOLDERS[at[-1]])
    else:
        node.pop(at[-1], None)


def _void(complaint: Complaint, broken: list[Place]) -> bool:
    return any(
        place[: len(other)] == other or other[: len(place)] == place
        for place in (complaint.at, *complaint.needs)
        for other in broken
    )


def _secrets(
    config: Config, environ: Mapping[str, str]
) -> tuple[dict[str, tuple[bytes, ...]], list[Complaint]]:
    found: dict[str, tuple[bytes, ...]] = {}
    wrong: list[Complaint] = []
    for name, webhook in config.webhooks.items():
        if webhook.auth == "none" or (webhook.secret_file is None) == (webhook.secret_env is None):
            continue  # the cross checks say so
        at: Place = ("webhooks", name, "secret_env" if webhook.secret_file is None else "secret_file")
        try:
            found[name] = read_keys(webhook, environ)
        except ValueError as error:
            needs: tuple[Place, ...] = (("webhooks", name, "auth"), ("webhooks", name, "format"))
            wrong.append(Complaint(at, str(error), needs))
    return found, wrong
