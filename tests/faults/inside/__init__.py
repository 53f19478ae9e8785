"""Faults that happen inside a process of the service: `sitecustomize` makes them."""

import os
from pathlib import Path


def variables(**faults: str) -> dict[str, str]:
    """What a process must be started with, to have these faults.

    Args:
        faults: `sitecustomize`'s variables without ``FAULTS_``, in lower case.
    """
    path = os.pathsep.join(filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")]))
    named = {f"FAULTS_{name.upper()}": value for name, value in faults.items()}
    return {"PYTHONPATH": path, **named}
