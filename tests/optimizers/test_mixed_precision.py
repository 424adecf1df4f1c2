"""Half-precision policies, with the loss scaling that Keras adds."""

import functools

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose

import keras_curvature
from keras_curvature.optimizers import SecondOrderGradient
from tests.optimizers.helpers import fit, network, weights

# Weights and updates are float32; g and H·g come from activations rounded to
# 2⁻⁸ (bfloat16) or 2⁻¹¹ (float16) of their size. 20 steps move no weight by
# more than ½ here, so twice that fraction of ½ bounds what roundings leave,
# where a Hessian that is off by the loss scale, or left out, is far beyond.
TOLERANCES = {"mixed_bfloat16": 2**-8, "mixed_float16": 2**-11}


def weights_under(policy, model_class, update_period, weight=1.0, **options):
    keras.config.set_dtype_policy(policy)
    model = network(model_class)
    optimizer = SecondOrderGradient(
        keras.optimizers.SGD(0.02),
        curvature_weight=weight,
        update_period=update_period,
    )
    if policy == "mixed_float16":
        # From 2¹⁵, Keras's own, the first step of this loss overflows and is
        # rightly left out.
        optimizer = keras.optimizers.LossScaleOptimizer(
            optimizer, initial_scale=2.0**12
        )
    model.compile(optimizer, "mse", **options)
    fit(model, 5)
    assert model.optimizer.iterations == 20
    keras.config.set_dtype_policy("float32")
    return weights(model), model


@functools.cache
def in_float32(update_period, weight=1.0):
    """The weights of a plain model, trained once in a process."""
    return weights_under("float32", keras.Sequential, update_period, weight)[0]


@pytest.mark.parametrize(
    "model_class, update_period, options",
    [
        (keras.Sequential, 1, {}),
        (keras.Sequential, 3, {}),
        (keras_curvature.Sequential, 3, {}),
        (keras_curvature.Sequential, 1, {"run_eagerly": True}),
    ],
)
@pytest.mark.parametrize("policy", TOLERANCES)
def test_twenty_steps_end_near_those_in_float32(
    policy, model_class, update_period, options
):
    full, without = in_float32(update_period), in_float32(1, weight=0.0)
    half, model = weights_under(policy, model_class, update_period, **options)
    tolerance = TOLERANCES[policy]
    # The test could not tell curvature from its absence otherwise.
    assert np.abs(full - without).max() > 10 * tolerance
    assert_allclose(half, full, atol=tolerance)
    assert all(v.dtype == "float32" for v in model.trainable_variables)


def test_jit_in_mixed_float16():
    half, _ = weights_under(
        "mixed_float16", keras.Sequential, 1, jit_compile=True
    )
    assert_allclose(half, in_float32(1), atol=TOLERANCES["mixed_float16"])


def test_an_overflow_lowers_the_scale_and_takes_no_step():
    keras.config.set_dtype_policy("mixed_float16")
    model = network()
    optimizer = keras.optimizers.LossScaleOptimizer(
        SecondOrderGradient("sgd"), initial_scale=2.0**40
    )
    model.compile(optimizer, "mse")
    before = weights(model)
    fit(model, x=np.ones((6, 3)), y=np.ones((6, 1)))
    np.testing.assert_array_equal(weights(model), before)
    assert optimizer.dynamic_scale == 2.0**39
    assert optimizer.iterations == 0


@pytest.mark.parametrize(
    "model_class, options",
    [
        (keras.Sequential, {}),
        (keras.Sequential, {"jit_compile": True}),
        (keras_curvature.Sequential, {}),
        (keras_curvature.Sequential, {"run_eagerly": True}),
    ],
    ids=["graph", "jit", "tapes", "eager tapes"],
)
def test_products_that_float16_alone_would_lose_are_kept(model_class, options):
    # L = (xw)² with x = 2⁻⁵, w = 1: g = 2x²w = 2⁻⁹ = H and H·g = 2⁻¹⁸. Under
    # the loss scale 2¹⁵ the cotangent g/2¹⁵ is the smallest float16 there is.
    keras.config.set_dtype_policy("mixed_float16")
    layer = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
    model = model_class([keras.Input((1,)), layer])
    optimizer = SecondOrderGradient(
        keras.optimizers.SGD(2.0**16), gradient_weight=0, curvature_weight=1
    )
    # Keras wraps it in a LossScaleOptimizer.
    model.compile(optimizer, "mse", **options)
    fit(model, x=np.array([[2.0**-5]]), y=np.zeros((1, 1)))
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert optimizer.skipped_steps == 0
    assert_allclose(weights(model), 1 - 2.0**16 * 2.0**-18, rtol=2**-10)
