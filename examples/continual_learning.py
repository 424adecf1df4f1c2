"""Five tasks one after the other, by elastic weight consolidation.

Handwritten digits in pairs: 0 or 1, 2 or 3, and so on. A network learns one
pair after the other and is not shown the earlier ones again. Each task has an
output layer of its own (multi-head: which task an image belongs to is known
when it is asked for); the hidden layers are shared. Plain fine-tuning forgets;
joint training on all tasks at once is the ceiling.

The strength of each structure is the best of the same five for the digits that
neither training nor test has seen, on seeds other than those shown. With
--choose: that choice.
"""

import _quiet  # noqa: F401, isort: skip

import statistics

import keras
import numpy as np
from _report import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    arguments,
    new_figure,
    print_table,
    save_plot,
)
from sklearn.datasets import load_digits

from keras_curvature.uncertainty import ElasticWeightConsolidation

TASKS = 5
# As --choose found them.
STRENGTHS = {"diagonal": 100.0, "kron": 10.0}
GRID = [1.0, 10.0, 100.0, 1e3, 1e4]
# The seeds of the choice are not among those shown.
FIRST_SEED_OF_CHOICE = 100
TRAINING, VALIDATION, TEST = range(3)
METHODS = {
    "fine-tuning": (None, GREY),
    "EWC, diagonal": ("diagonal", ORANGE),
    "EWC, Kronecker": ("kron", BLUE),
}


def split_digits(seed, tasks=TASKS):
    """For each task training, validation and test data, labels 0 and 1."""
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype("float32")
    order = np.random.default_rng(seed).permutation(len(y))
    found = []
    for task in range(tasks):
        rows = order[y[order] // 2 == task]
        parts = np.split(rows, [len(rows) * 11 // 20, len(rows) * 3 // 4])
        found.append([(x[part], y[part] % 2) for part in parts])
    return found


def networks(seed, tasks=TASKS):
    """One model for each task, with hidden layers that all share."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((64,))
    hidden = keras.layers.Dense(32, activation="tanh", name="first")(inputs)
    hidden = keras.layers.Dense(32, activation="tanh", name="second")(hidden)
    models = []
    for _ in range(tasks):
        models.append(keras.Model(inputs, keras.layers.Dense(2)(hidden)))
        compile_model(models[-1])
    return models


def compile_model(model):
    model.compile(
        keras.optimizers.Adam(0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        # To compile each task's step would take longer than all its steps.
        jit_compile=False,
    )


def accuracy(model, x, y):
    logits = keras.ops.convert_to_numpy(model(x))
    return float(np.mean(logits.argmax(1) == y))


def accuracies(models, tasks, part=TEST):
    return [
        accuracy(model, *data[part])
        for model, data in zip(models, tasks, strict=True)
    ]


def in_sequence(structure, strength, seed, options, part=TEST):
    """Accuracies of all tasks after each of them, of shape (tasks, tasks)."""
    tasks = split_digits(seed, options.tasks)
    models = networks(seed, options.tasks)
    consolidation = structure and ElasticWeightConsolidation(
        strength, structure=structure
    )
    table = []
    for model, data in zip(models, tasks, strict=True):
        train = data[TRAINING]
        model.fit(*train, batch_size=32, epochs=options.epochs, verbose=0)
        if consolidation:
            consolidation.consolidate(model, *train, layers=["first", "second"])
        table.append(accuracies(models, tasks, part))
    return np.array(table)


def choose(options):
    """Prints what each strength comes to on validation digits."""
    seeds = range(FIRST_SEED_OF_CHOICE, FIRST_SEED_OF_CHOICE + options.seeds)
    rows = []
    for structure in STRENGTHS:
        means = [
            statistics.mean(
                in_sequence(structure, s, seed, options, VALIDATION)[-1].mean()
                for seed in seeds
            )
            for s in GRID
        ]
        best = GRID[int(np.argmax(means))]
        rows.append([structure, *[f"{m:.2%}" for m in means], f"{best:g}"])
    print_table(("", *[f"{s:g}" for s in GRID], "chosen"), rows)


def jointly(seed, options):
    """Mean accuracy after training on all tasks at once, every head on its."""
    tasks = split_digits(seed, options.tasks)
    models = networks(seed, options.tasks)
    whole = keras.Model(
        models[0].inputs,
        keras.layers.Concatenate()([model.outputs[0] for model in models]),
    )
    x, y = map(
        np.concatenate, zip(*[data[TRAINING] for data in tasks], strict=True)
    )
    task = np.repeat(
        range(options.tasks), [len(data[TRAINING][1]) for data in tasks]
    )

    def own_head(labels, logits):
        """The crossentropy of the head that labels // 2 names."""
        heads = keras.ops.reshape(logits, (-1, options.tasks, 2))
        own = keras.ops.one_hot(labels[:, 0] // 2, options.tasks)
        logits = keras.ops.sum(heads * own[..., None], axis=1)
        return keras.losses.sparse_categorical_crossentropy(
            labels[:, 0] % 2, logits, from_logits=True
        )

    whole.compile(keras.optimizers.Adam(0.01), own_head, jit_compile=False)
    labels = (2 * task + y)[:, None]
    whole.fit(x, labels, batch_size=32, epochs=options.epochs, verbose=0)
    return statistics.mean(accuracies(models, tasks))


def draw(axes, tables, ceiling):
    left, right = axes
    seen = np.arange(1, len(next(iter(tables.values()))[0]) + 1)
    for name, (_, color) in METHODS.items():
        first = np.mean(tables[name], 0)[:, 0]
        left.plot(seen, first, "o-", color=color, label=name)
        so_far = np.mean(
            [
                [t[k, : k + 1].mean() for k in range(len(t))]
                for t in tables[name]
            ],
            axis=0,
        )
        right.plot(seen, so_far, "o-", color=color, label=name)
    right.axhline(ceiling, color=GREEN, linestyle="--")
    # The legend below is that of the left picture.
    left.plot([], [], "--", color=GREEN, label="jointly, all tasks")
    for axis, title in (
        (left, "the first task, 0 or 1"),
        (right, "all tasks so far"),
    ):
        axis.set(
            title=title, xlabel="tasks learned", xticks=seen, ylim=(0.85, 1.005)
        )
    left.set(ylabel="accuracy on images not trained on")


def main():
    parser = arguments(
        __doc__.splitlines()[0],
        seeds=(2, "of weights and of the split"),
        epochs=(10, "of each task"),
        tasks=(TASKS, "pairs of digits"),
    )
    parser.add_argument(
        "--choose", action="store_true", help="the strengths, by validation"
    )
    options = parser.parse_args()
    if options.choose:
        return choose(options)
    seeds = range(options.seeds)
    tables = {
        name: [
            in_sequence(s, STRENGTHS.get(s), seed, options) for seed in seeds
        ]
        for name, (s, _) in METHODS.items()
    }
    joint = [jointly(seed, options) for seed in seeds]
    rows = []
    for name, found in tables.items():
        means = [table[-1].mean() for table in found]
        first = [table[-1, 0] for table in found]
        rows.append(
            [
                name,
                f"{statistics.mean(means):.1%}",
                f"{min(means):.1%} to {max(means):.1%}",
                f"{statistics.mean(first):.1%}",
            ]
        )
    rows.append(
        [
            "jointly (ceiling)",
            f"{statistics.mean(joint):.1%}",
            f"{min(joint):.1%} to {max(joint):.1%}",
            "",
        ]
    )
    print(
        f"{options.tasks} pairs of digits, an output layer for each, "
        f"{options.seeds} seeds.\n"
        "Accuracy after the last task, on images not trained on:"
    )
    print_table(("", "mean of tasks", "seeds", "first task"), rows)
    figure, axes = new_figure(2, "What is left of earlier tasks?")
    draw(axes, tables, statistics.mean(joint))
    saved = save_plot(figure, options.plots, "continual_learning.png")
    print(f"\nPlot: {saved}")


if __name__ == "__main__":
    main()
