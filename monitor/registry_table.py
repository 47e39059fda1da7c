"""`[models.registry]`: where a model's versions are registered. A table of `monitor.config`."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field, SecretBytes
from pydantic.json_schema import SkipJsonSchema

from monitor.fields import Duration, Local, Strict, within


class Registry(Strict):
    """An MLflow registry. `secret` is read from the file or the variable, never printed.

    name: of the registered model, "" where it is the model's own. version_tag: the tag whose value the log
    has as version, "" where that is the version's number or an alias.
    """

    mlflow: str
    name: Annotated[str, Field(pattern=r"^[^'\"/:\x00-\x1f]{0,250}$")] = ""
    version_tag: Annotated[str, Field(max_length=250)] = ""
    every: Annotated[Duration, within("1s", "1d")] = timedelta(minutes=5)
    username: str = ""
    token_file: Local | None = None
    token_env: str | None = None
    timeout: Annotated[Duration, within("100ms", "10m")] = timedelta(seconds=15)
    allow_private: bool = False
    secret: SkipJsonSchema[SecretBytes] = Field(default=SecretBytes(b""), exclude=True)

    def keyed(self, secret: bytes) -> "Registry":
        """Return it with its secret."""
        return self.model_copy(update={"secret": SecretBytes(secret)})
