"""The table [daemon.web] of the configuration: TLS, and who may ask."""

from typing import Annotated, Literal

from pydantic import Field, SecretStr
from pydantic.json_schema import SkipJsonSchema

from monitor.fields import Local, Strict


class Web(Strict):
    """How HTTP is protected: TLS, and who may ask. `tokens` is filled from the variable, never printed."""

    cert_file: Local | None = None
    key_file: Local | None = None
    client_ca_file: Local | None = None
    min_version: Literal["1.2", "1.3"] = "1.2"
    token_files: Annotated[tuple[Local, ...], Field(strict=False)] = ()
    token_env: str | None = None
    users_file: Local | None = None
    open: Annotated[tuple[Literal["metrics", "health", "status"], ...], Field(strict=False)] = ("health",)
    tokens: SkipJsonSchema[SecretStr] = Field(default=SecretStr(""), exclude=True)

    @property
    def protected(self) -> bool:
        """Whether credentials are configured, so that who asks must show some."""
        return bool(self.token_files or self.token_env or self.users_file)

    def holding(self, tokens: str) -> "Web":
        """Return it with the variable's tokens."""
        return self.model_copy(update={"tokens": SecretStr(tokens)})

    def __str__(self) -> str:
        return self.model_dump_json(exclude_defaults=True)

    @property
    def encrypted(self) -> bool:
        """Whether it is HTTPS."""
        return self.cert_file is not None
