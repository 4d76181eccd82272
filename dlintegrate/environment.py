"""What a bug report needs to say about the machine and what is installed."""

import importlib.metadata
import os
import platform
import re
from pathlib import Path

from . import __version__
from .datasets import list_pretrained

#: Variables that change results or speed; nothing else of the environment is looked at.
_VARIABLES = (
    "DLINTEGRATE_NUMBA_CACHE", "NUMBA_NUM_THREADS", "NUMBA_DISABLE_JIT", "OMP_NUM_THREADS",
    "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES",
)  # fmt: skip
#: Name and extra of a requirement.
_REQUIREMENT = re.compile(r"""([A-Za-z0-9._-]+)(?:.*extra == ["'](\w+)["'])?""")
#: Extras of those who work on the package itself.
_DEVELOPMENT = ("benchmark", "docs", "test")


def describe_environment():
    """Versions, platform, cores, torch devices, pretrained integrators.

    Returns
    -------
    dict
        Of plain values, for JSON.
    """
    return {
        "dlintegrate": __version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": platform.platform(),
        "machine": platform.machine(),
        "processor": processor_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "cores_of_machine": os.cpu_count(),
        "torch_devices": _torch_devices(),
        "packages": _versions(),
        "environment": {name: os.environ[name] for name in _VARIABLES if name in os.environ},
        "pretrained": list_pretrained(),
    }


def processor_name():
    """Name, family and model of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    fields = {key.strip(): value.strip() for key, value in fields.items()}
    name = fields.get("model name", platform.processor())
    # virtual machines hide the product name, family and model number do not
    return f"{name} (family {fields.get('cpu family')}, model {fields.get('model')})"


def _versions():
    """Installed version of everything that the package can use, by name."""
    try:
        requirements = importlib.metadata.requires("dlintegrate") or []
    except importlib.metadata.PackageNotFoundError:  # run from a folder, not installed
        requirements = ["numpy", "numba", "scikit-learn", "xarray", "netCDF4", "torch"]
    found = (_REQUIREMENT.match(line).groups() for line in requirements)
    names = {name for name, extra in found if extra not in _DEVELOPMENT and name != "dlintegrate"}
    return {name: _version(name) for name in sorted(names, key=str.lower)}


def _version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _torch_devices():
    """Names of the devices that torch can use."""
    import torch

    devices = ["cpu"]
    if torch.cuda.is_available():
        devices += [
            f"cuda:{i} ({torch.cuda.get_device_name(i)})" for i in range(torch.cuda.device_count())
        ]
    mps = getattr(torch.backends, "mps", None)
    return devices + (["mps"] if mps is not None and mps.is_available() else [])
