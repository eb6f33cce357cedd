"""A tiny run as arguments of `hessdiag`."""

import json
from typing import Any

from tests.train.driving import TINY


def tiny_run(**changes: Any) -> list[str]:
    """`run` with the settings of `TINY`, some of them changed; "__" stands for the dot."""
    settings = TINY | {key.replace("__", "."): value for key, value in changes.items()}
    return [
        "run",
        *(
            text
            for key, value in settings.items()
            for text in ("--set", f"{key}={json.dumps(value)}")
        ),
    ]


TINY_RUN = tiny_run()
UNPROBED_RUN = tiny_run(probe__at=[], probe__points=0)
