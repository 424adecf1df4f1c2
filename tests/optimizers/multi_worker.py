"""One worker of test_multi_worker: trains and writes its weights.

Usage: python -m tests.optimizers.multi_worker OUTPUT, with TF_CONFIG set.
"""

import pathlib
import sys

import keras
import numpy as np
import tensorflow as tf

from keras_curvature.optimizers import SecondOrderGradient
from tests.optimizers.helpers import X, Y, network, weights

OPTIMIZERS = {
    "adam": lambda: SecondOrderGradient(keras.optimizers.Adam(0.02)),
    "period_3": lambda: SecondOrderGradient(
        keras.optimizers.SGD(0.05, momentum=0.9), update_period=3
    ),
}


def train(make_optimizer, strategy):
    """20 steps with the global batch of the tests.

    The loop is written out because `fit` of Keras 3.15 fails with two workers
    before its first step, whatever the optimizer: it reduces the first batch
    over replicas as if all were local.
    """
    with strategy.scope():
        model = network()
        model.compile(make_optimizer(), "mse")
        model.optimizer.build(model.trainable_variables)
    dataset = tf.data.Dataset.from_tensor_slices((X, Y)).batch(6).repeat(5)
    step = tf.function(
        lambda batch: strategy.run(model.train_step, args=(batch,)),
        autograph=False,
    )
    for batch in strategy.experimental_distribute_dataset(dataset):
        step(batch)
    assert model.optimizer.iterations.numpy() == 20
    return weights(model)


if __name__ == "__main__":
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    assert strategy.num_replicas_in_sync == 2
    results = {name: train(make, strategy) for name, make in OPTIMIZERS.items()}
    np.savez(pathlib.Path(sys.argv[1]), **results)
