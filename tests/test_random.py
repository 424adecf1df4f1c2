"""The random numbers of the estimators: independent, fair, reproducible."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from keras_curvature._random import (
    Draws,
    random_signs,
    random_uniforms,
    random_words,
)

COUNT = 2**16


def signs(seed=0, step=0, first=0, shape=(COUNT,)):
    (drawn,) = random_signs(
        seed, tf.constant(step), first, [shape], ["float64"]
    )
    return drawn.numpy()


def within_chance(statistic, deviation):
    # Beyond 4.5 standard deviations fair signs fall once in 150,000 tests.
    assert abs(statistic) < 4.5 * deviation


def test_signs_are_fair():
    drawn = signs()
    assert set(np.unique(drawn)) == {-1.0, 1.0}
    within_chance(drawn.sum(), COUNT**0.5)


@pytest.mark.parametrize("lag", [1, 2, 7, 8, 31, 32, 33, 64, 1024])
def test_signs_do_not_depend_on_their_neighbors(lag):
    drawn = signs()
    within_chance(drawn[lag:] @ drawn[:-lag], (COUNT - lag) ** 0.5)


@pytest.mark.parametrize(
    "other",
    [
        {"step": 1},
        {"step": 2},
        {"step": 2**16},
        {"step": 2**31 - 1},
        {"seed": 1},
        {"seed": 2**40},
        {"first": COUNT // 32},
    ],
)
def test_steps_seeds_and_places_are_independent(other):
    within_chance(signs() @ signs(**other), COUNT**0.5)


def test_signs_of_one_place_are_fair_over_the_steps():
    step = tf.function(
        lambda t: random_signs(0, t, 0, [(64,)], ["float32"])[0],
        jit_compile=True,
    )
    drawn = np.array([step(tf.constant(t)) for t in range(1500)])
    # 64 sums within 4.5 deviations: a false alarm once in 2,300.
    assert np.abs(drawn.sum(0)).max() < 4.5 * 1500**0.5
    pairs = (drawn.T @ drawn)[np.triu_indices(64, 1)]
    chance = scipy.stats.chi2.sf((pairs**2).sum() / 1500, len(pairs))
    assert 1e-4 < chance < 1 - 1e-4


def test_bytes_of_the_words_are_uniform():
    words = random_words(0, tf.constant(3), 0, COUNT).numpy()
    counts = np.bincount(words.view("uint8"), minlength=256)
    assert scipy.stats.chisquare(counts).pvalue > 1e-4
    assert len(np.unique(words)) > COUNT - 10  # birthday: 0.5 pairs expected


def test_uniforms_are_uniform_and_inside_the_interval():
    drawn = random_uniforms(0, tf.constant(0), 0, COUNT, "float32").numpy()
    assert drawn.min() > 0
    assert drawn.max() < 1
    assert scipy.stats.kstest(drawn.astype("float64"), "uniform").pvalue > 1e-4


@pytest.mark.parametrize("shape", [(), (1,), (33,), (5, 7, 2), (64,)])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_jit_draws_the_same(shape, dtype):
    plain = tf.function(lambda t: random_signs(7, t, 3, [shape], [dtype])[0])
    jit = tf.function(plain.python_function, jit_compile=True)
    step = tf.constant(5, "int64")
    assert plain(step).shape == shape
    assert plain(step).dtype == dtype
    np.testing.assert_array_equal(
        tf.cast(plain(step), "float64"), tf.cast(jit(step), "float64")
    )


def test_a_source_of_draws_gives_other_numbers_in_each_call():
    draws = Draws((0, 1), 2, 3)
    first, second = (draws((COUNT,), "float64").numpy() for _ in range(2))
    within_chance(np.sign(first - 0.5) @ np.sign(second - 0.5), COUNT**0.5)
    np.testing.assert_array_equal(draws.restarted()((COUNT,), "float64"), first)


def test_draws_belong_to_rows_of_the_global_batch():
    whole = Draws(5, 0, 0)((7, 2, 3), "float32")
    part = Draws(5, 0, 4)((3, 2, 3), "float32")
    np.testing.assert_array_equal(part, whole[4:])
