"""MultiWorkerMirroredStrategy with two real processes on loopback."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose, assert_array_equal

from tests.optimizers.multi_worker import OPTIMIZERS, train

ROOT = pathlib.Path(__file__).parents[2]


def free_addresses(count):
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    addresses = [f"127.0.0.1:{s.getsockname()[1]}" for s in sockets]
    for s in sockets:
        s.close()
    return addresses


def start_worker(index, addresses, output):
    cluster = {"worker": addresses}
    task = {"type": "worker", "index": index}
    environment = {
        **os.environ,
        "TF_CONFIG": json.dumps({"cluster": cluster, "task": task}),
        "PYTHONPATH": str(ROOT),
        "GRPC_VERBOSITY": "ERROR",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "tests.optimizers.multi_worker", str(output)],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture
def weights_of_two_workers(tmp_path):
    outputs = [tmp_path / f"{index}.npz" for index in range(2)]
    addresses = free_addresses(2)
    workers = [
        start_worker(index, addresses, output)
        for index, output in enumerate(outputs)
    ]
    try:
        for worker in workers:
            printed, _ = worker.communicate(timeout=240)
            assert worker.returncode == 0, printed
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    return [np.load(output) for output in outputs]


def test_two_workers_train_as_one_device(weights_of_two_workers, float64):
    first, second = weights_of_two_workers
    for name, make_optimizer in OPTIMIZERS.items():
        assert_array_equal(first[name], second[name])
        alone = train(make_optimizer, tf.distribute.get_strategy())
        assert_allclose(first[name], alone, atol=1e-10)
