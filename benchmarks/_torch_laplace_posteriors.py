"""One case of laplace_posteriors.py, by laplace-torch 0.3 and torch.

    pip install torch==2.13.0 torchmetrics scipy tqdm opt-einsum einops
    pip install --no-deps laplace-torch==0.3 curvlinops-for-pytorch==3.0.1 \
        backpack-for-pytorch asdfghjkl==0.1a4 einconv
"""

import argparse
import json

import numpy as np
import torch
from _measure import fit_and_predict
from laplace import Laplace


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--case", nargs=2)
    weights, structure = parser.parse_args().case
    torch.set_num_threads(2)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    x = torch.tensor(rng.normal(size=(8192, 784)).astype("float32"))
    y = torch.tensor(rng.integers(0, 10, 8192))
    model = torch.nn.Sequential(
        torch.nn.Linear(784, 512),
        torch.nn.ReLU(),
        torch.nn.Linear(512, 512),
        torch.nn.ReLU(),
        torch.nn.Linear(512, 10),
    )
    laplace = Laplace(
        model,
        "classification",
        subset_of_weights=weights,
        hessian_structure={"diagonal": "diag"}.get(structure, structure),
    )
    data = torch.utils.data.TensorDataset(x, y)
    loader = torch.utils.data.DataLoader(data, batch_size=256)
    found = fit_and_predict(
        lambda: laplace.fit(loader),
        lambda: laplace._glm_predictive_distribution(x[:200]),
    )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
