"""The line that says where figures come from."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.frameworks import version_of

PACKAGES = (
    "lamella",
    "starlette",
    "anyio",
    "msgspec",
    "pydantic",
    "uvicorn",
    "httptools",
    "uvloop",
    "fastapi",
    "litestar",
    "blacksheep",
    "falcon",
)


def machine() -> str:
    """CPU model, cores, system, Python, versions and date, as one line."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    versions = ", ".join(f"{name} {version_of(name)}" for name in PACKAGES)
    return (
        f"{_cpu_model()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}; "
        f"{python}; {versions}; {datetime.now(UTC).date().isoformat()}"
    )


def _cpu_model() -> str:
    """The model as Linux names it, else what Python knows."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"
