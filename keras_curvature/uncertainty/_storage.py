"""Fits as files, without what the model file holds."""

import json

import numpy as np

from keras_curvature.uncertainty._fit import Fit
from keras_curvature.uncertainty._likelihoods import likelihood_of

_NUMBERS = ("loss", "count", "outputs", "checksum")


def save_fit(path, fit, model, settings, **arrays):
    """Writes a `Fit`, a dict of settings for JSON, and further arrays."""
    places = {id(v): k for k, v in enumerate(model.trainable_variables)}
    facts = {
        "numbers": {name: getattr(fit, name) for name in _NUMBERS},
        "places": [places[id(v)] for v in fit.variables],
        "structure": sorted(fit.structure.arrays),
        "settings": settings,
    }
    np.savez(
        path,
        facts=json.dumps(facts),
        values=fit.values,
        **fit.structure.arrays,
        **arrays,
    )


def load_fit(path, model, loss, structures):
    """What `save_fit` wrote.

    Args:
        path: Of the file.
        model: The model that the fit is of.
        loss: `keras.losses.Loss` of `summed_loss`.
        structures: Dict from names to classes of `_posteriors`; the setting
            `structure` names one.

    Returns:
        Tuple of the `Fit`, the settings, and a dict of the further arrays.
    """
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    facts = json.loads(str(arrays.pop("facts")))
    kept = {name: arrays.pop(name) for name in facts["structure"]}
    settings, numbers = facts["settings"], facts["numbers"]
    variables = model.trainable_variables
    if max(facts["places"]) >= len(variables):
        raise ValueError(
            "The model must be the one that the posterior was fitted to. "
            f"Received: {model.name} with {len(variables)} trainable "
            f"variables, and a posterior of {max(facts['places']) + 1} or more."
        )
    fit = Fit(
        model=model,
        variables=[variables[k] for k in facts["places"]],
        values=arrays.pop("values"),
        likelihood=likelihood_of(loss, numbers["outputs"]),
        structure=structures[settings["structure"]](kept),
        **numbers,
    )
    fit.refuse_moved()
    return fit, settings, arrays
