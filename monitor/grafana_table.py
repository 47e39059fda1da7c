"""The table [exporters.grafana]: where Grafana is, and what it gets."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field, SecretStr
from pydantic.json_schema import SkipJsonSchema

from monitor.fields import Duration, Local, Strict, within


class Grafana(Strict):
    """A Grafana that gets the dashboards and an annotation for each episode. `token` is never printed."""

    url: str
    token_file: Local | None = None
    token_env: str | None = None
    folder: str = Field(default="driftd", min_length=1)
    datasource: str = ""
    datasource_url: str = ""
    runbooks: str = ""
    annotations: bool = True
    timeout: Annotated[Duration, within("100ms", "10m")] = timedelta(seconds=15)
    token: SkipJsonSchema[SecretStr] = Field(default=SecretStr(""), exclude=True)

    def keyed(self, token: str) -> "Grafana":
        """Return the table with the token."""
        return self.model_copy(update={"token": SecretStr(token)})
