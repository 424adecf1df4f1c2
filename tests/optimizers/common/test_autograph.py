"""In a loop of one's own AutoGraph leaves the solvers as they are.

They call nothing of the user's that it could have to convert, and to convert
them took longer than to trace them.
"""

import sys

import keras
import pytest
import tensorflow as tf

from keras_curvature.optimizers import LBFGS, NewtonCG


@pytest.mark.parametrize("make", [LBFGS, NewtonCG])
def test_a_step_in_a_function_is_not_converted(make, monkeypatch):
    variable, optimizer = keras.Variable([1.0, 2.0]), make()
    optimizer.build([variable])
    files, build = [], type(optimizer).build

    def recorded(self, variables):
        files.append(sys._getframe(1).f_code.co_filename)
        return build(self, variables)

    monkeypatch.setattr(type(optimizer), "build", recorded)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = optimizer.scale_loss(tf.reduce_sum(variable.value**4))
        optimizer.apply([tape.gradient(loss, variable.value)], [variable])

    step()
    # What is converted runs from a file that AutoGraph has written.
    assert files
    assert not [f for f in files if "autograph_generated" in f]
