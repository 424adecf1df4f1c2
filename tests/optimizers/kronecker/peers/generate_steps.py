"""Natural gradients of small networks by kfac-jax, in float64.

Needs kfac-jax (0.0.8) and jax (0.7.2); writes steps.npz beside itself, with
weights, data, both factors of each layer and the natural gradient. Kernels,
images and weights have the shapes and order of Keras.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import kfac_jax
import numpy as np

SAMPLES, CLASSES, DAMPING = 6, 3, 0.02
CASES = (
    ("dense", "crossentropy"),
    ("dense", "mse"),
    ("convolution", "crossentropy"),
)
SHAPES = {
    "dense": [(4, 5), (5, CLASSES)],
    "convolution": [(2, 2, 2, 3), (12, CLASSES)],
}
INPUTS = {"dense": (4,), "convolution": (5, 4, 2)}


def outputs_of(network, parameters, x):
    (kernel, bias), last = parameters
    if network == "dense":
        x = x @ kernel
    else:
        x = jax.lax.conv_general_dilated(
            x,
            kernel,
            window_strides=(2, 2),
            padding="VALID",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
    x = jnp.tanh(x + bias).reshape(SAMPLES, -1)
    return x @ last[0] + last[1]


def objective(network, loss):
    def mean_loss(parameters, batch):
        x, y = batch
        z = outputs_of(network, parameters, x)
        if loss == "mse":
            # Keras takes the mean over the outputs too.
            kfac_jax.register_squared_error_loss(z, y, weight=1 / CLASSES)
            return jnp.mean((z - y) ** 2)
        kfac_jax.register_softmax_cross_entropy_loss(z, y)
        own = jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], 1)
        return -jnp.mean(own)

    return mean_loss


def natural_gradient(function, parameters, batch):
    """The factors of each layer, and A⁻¹·∇L·G⁻¹ with damped factors.

    Of the exact Fisher information: kfac-jax divides the empirical one by the
    number of samples once more than its definition.
    """
    estimator = kfac_jax.BlockDiagonalCurvature(
        function,
        params_index=0,
        default_estimation_mode="fisher_exact",
    )
    key, arguments = jax.random.PRNGKey(0), (parameters, batch)
    state = estimator.init(
        rng=key,
        func_args=arguments,
        exact_powers_to_cache=None,
        approx_powers_to_cache=None,
        cache_eigenvalues=False,
    )
    state = estimator.update_curvature_matrix_estimate(
        state,
        ema_old=0.0,
        ema_new=1.0,
        identity_weight=0.0,
        batch_size=SAMPLES,
        rng=key,
        func_args=arguments,
    )
    direction = estimator.multiply_inverse(
        state,
        jax.grad(function)(*arguments),
        identity_weight=DAMPING,
        exact_power=False,
        use_cached=False,
        pmap_axis_name=None,
    )
    factors = [[f.value for f in b.factors] for b in state.blocks_states]
    return factors, direction


def main():
    jax.config.update("jax_enable_x64", True)
    random = np.random.default_rng(7)
    saved = {"damping": DAMPING}
    for network, shapes in SHAPES.items():
        saved[f"{network}/x"] = random.normal(size=(SAMPLES, *INPUTS[network]))
        for k, shape in enumerate(shapes):
            scale = 1 / np.sqrt(np.prod(shape[:-1]))
            saved[f"{network}/kernel{k}"] = scale * random.normal(size=shape)
            saved[f"{network}/bias{k}"] = random.normal(size=shape[-1]) / 10
    saved["crossentropy/y"] = random.integers(0, CLASSES, SAMPLES)
    saved["mse/y"] = random.normal(size=(SAMPLES, CLASSES))
    for case in CASES:
        network, loss = case
        parameters = [
            tuple(jnp.asarray(saved[f"{network}/{w}{k}"]) for w in WEIGHTS)
            for k in range(2)
        ]
        batch = (saved[f"{network}/x"], jnp.asarray(saved[f"{loss}/y"]))
        factors, direction = natural_gradient(
            objective(network, loss), parameters, batch
        )
        key = "/".join(case)
        for k in range(2):
            saved[f"{key}/A{k}"], saved[f"{key}/G{k}"] = factors[k]
            for name, part in zip(WEIGHTS, direction[k], strict=True):
                saved[f"{key}/{name}{k}"] = part
    np.savez_compressed(Path(__file__).with_name("steps.npz"), **saved)


WEIGHTS = ("kernel", "bias")

if __name__ == "__main__":
    main()
