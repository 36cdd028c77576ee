"""Starts modules of the tests in processes of their own.

Keras chooses its backend, and TensorFlow and JAX their devices, only once.
"""

import importlib.util
import json
import os
import pathlib
import socket
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
NAMES = ("tensorflow", "jax", "torch")
# Value of XLA_FLAGS with which XLA compiles in half the time; its passes over what is
# computed stay as they are. AVX has no fused multiply-adds, so that equal models stay
# equal to the bit however XLA fuses them.
QUICK_XLA = (
    "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false "
    "--xla_cpu_max_isa=AVX"
)


def installed_backends():
    """Returns the names of Keras's backends that can be used here."""
    return [name for name in NAMES if importlib.util.find_spec(name)]


BACKENDS = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            name not in installed_backends(), reason=f"{name} is not installed"
        ),
    )
    for name in NAMES
]


def start(*arguments, **environment):
    """Returns `python -m` with these arguments and environment variables, started."""
    return subprocess.Popen(
        [sys.executable, "-m", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait(process, timeout=300):
    """Returns what a process says; fails if it does."""
    try:
        output, _ = process.communicate(timeout=timeout)
    finally:
        process.kill()
    assert process.returncode == 0, output[-5000:]
    return output


def run(*arguments, timeout=300, **environment):
    """Starts a module and waits for it; returns what it says."""
    return wait(start(*arguments, **environment), timeout)


def worker_environments(count=2):
    """Returns the environment of each worker of a cluster on loopback."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    workers = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    tasks = [{"type": "worker", "index": index} for index in range(count)]
    return [
        {"TF_CONFIG": json.dumps({"cluster": {"worker": workers}, "task": task})}
        for task in tasks
    ]
