"""`[alibi]`: the process that runs alibi-detect. A table of `monitor.config`."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from monitor.fields import Duration, Local, Size, Strict, within


def _enough(memory: int) -> int:
    if memory < 512 * 2**20:
        raise ValueError('is too little for alibi-detect; write at least "512MiB"')
    return memory


class Alibi(Strict):
    """python: the interpreter of an environment with alibi-detect. timeout: for one answer, the start too."""

    python: Local = Field(default=Path(".envs/alibi/bin/python"), validate_default=True)
    timeout: Annotated[Duration, within("1s", "1d")] = timedelta(minutes=5)
    memory: Annotated[Size, AfterValidator(_enough)] = 4 * 2**30
