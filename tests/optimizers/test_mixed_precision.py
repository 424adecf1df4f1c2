"""Half-precision policies, with the loss scaling that Keras adds."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose

import keras_curvature
from keras_curvature.optimizers import SecondOrderGradient
from tests.optimizers.problems import fit, network, weights

# Weights and updates are float32; g and H·g come from half-precision
# activations with 2⁻⁸ (bfloat16) or 2⁻¹¹ (float16) relative rounding. Over 20
# steps of rate 0.1 and directions of size below 1 the weights move by less
# than 2, so 2·2⁻⁸ and 2·2⁻¹¹ bound what roundings in random directions leave;
# a Hessian off by the loss scale or left out is orders of magnitude beyond.
TOLERANCES = {"mixed_bfloat16": 2 * 2**-8, "mixed_float16": 2 * 2**-11}


def weights_under(policy, model_class, update_period, weight=1.0, **options):
    keras.config.set_dtype_policy(policy)
    model = network(model_class)
    optimizer = SecondOrderGradient(
        keras.optimizers.SGD(0.1),
        curvature_weight=weight,
        update_period=update_period,
    )
    model.compile(optimizer, "mse", **options)
    fit(model, 5)
    keras.config.set_dtype_policy("float32")
    return weights(model), model


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
    full, _ = weights_under("float32", keras.Sequential, update_period)
    without, _ = weights_under("float32", keras.Sequential, 1, weight=0.0)
    half, model = weights_under(policy, model_class, update_period, **options)
    tolerance = TOLERANCES[policy]
    # The test could not tell curvature from its absence otherwise.
    assert np.abs(full - without).max() > 10 * tolerance
    assert_allclose(half, full, atol=tolerance)
    assert all(v.dtype == "float32" for v in model.trainable_variables)


def test_mixed_float16_is_scaled_by_keras_and_skips_no_step():
    _, model = weights_under("mixed_float16", keras.Sequential, 1)
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    inner = model.optimizer.inner_optimizer
    assert isinstance(inner, SecondOrderGradient)
    assert inner.iterations == 20
    assert inner.skipped_steps == 0


def test_jit_in_mixed_float16():
    full, _ = weights_under("float32", keras.Sequential, 1)
    half, _ = weights_under(
        "mixed_float16", keras.Sequential, 1, jit_compile=True
    )
    assert_allclose(half, full, atol=TOLERANCES["mixed_float16"])


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


def test_loss_scaling_keeps_products_that_float16_would_lose():
    # Gradients of 2⁻²⁶ vanish in float16 unless they are scaled; H·g of this
    # quadratic, scaled or not, must come back as 2⁻²⁶·w.
    keras.config.set_dtype_policy("mixed_float16")
    layer = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
    model = keras.Sequential([keras.Input((1,)), layer])
    optimizer = keras.optimizers.LossScaleOptimizer(
        SecondOrderGradient(
            keras.optimizers.SGD(2.0**20),
            gradient_weight=0,
            curvature_weight=1,
        )
    )
    model.compile(optimizer, "mse")
    x = np.array([[2.0**-5]])
    # L = (xw)², g = 2x²w = 2⁻⁹, H = 2⁻⁹, H·g = 2⁻¹⁸; rate 2²⁰ gives w − 4.
    fit(model, x=x, y=np.zeros((1, 1)))
    assert_allclose(tf.squeeze(layer.kernel), 1 - 4.0, rtol=2**-10)
