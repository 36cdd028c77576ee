# %% [markdown]
# # How flat is it?
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/lrlearn/lrlearn/blob/main/colab/how_flat_is_it.ipynb)
#
# Sharpness-aware minimization (SAM) looks for flat minima, and learned optimizers can
# be taught to. Whether they find any is a question of measurement. Here the same
# network is trained in four ways, and looked at with four instruments: the rise of
# the loss within a ball, by projected gradient ascent (PGA); the same relative to each
# weight; the top eigenvalue of the Hessian; and the landscape on a plane. It takes a
# minute on one CPU core.

# %%
# On Colab, this installs lrlearn.
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("lrlearn") is None:
    repository = "https://github.com/lrlearn/lrlearn"
    package = f"lrlearn[tensorflow] @ git+{repository}"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", package], check=True)

# %%
import keras
import numpy as np
import pandas as pd
import tensorflow as tf

import lrlearn

# %% [markdown]
# ## Four minima
#
# 500 images of digits, a fifth of them with wrong labels, and 500 steps, with the
# learning rates and the radius that [quickstart](quickstart.ipynb) chose on validation
# data. `lo_none` is a preset that was meta-trained with the plain loss alone, `lo_sam`
# one that had SAM as its teacher.

# %%
task = lrlearn.tasks.load("digits/mlp", train_size=500, label_noise=0.2, batch_size=64)
x, y = task.train
STEPS = 500


def training(optimizer, regularizer=None):
    return lrlearn.evaluation.Training(task, optimizer, regularizer)


preset = lrlearn.LearnedOptimizer.from_preset
trainings = {
    "Adam": training(keras.optimizers.Adam(0.003)),
    "SAM": training(keras.optimizers.Adam(0.01), lrlearn.regularizers.SAM(0.5)),
    "lo_none": training(preset("lo_none")),
    "lo_sam": training(preset("lo_sam", rho=0.05)),
}


def train(name, seed):
    """Returns the weights that a run ends with, and its last record."""
    record = trainings[name].run(STEPS, seed).iloc[-1]
    weights = [w.numpy() for w in trainings[name].model.trainable_variables]
    norm = np.sqrt(sum(np.sum(np.square(w)) for w in weights))
    return weights, {"optimizer": name, "seed": seed, **record, "norm": norm}


SEEDS = range(3)
runs = {(name, seed): train(name, seed) for name in trainings for seed in SEEDS}
records = pd.DataFrame(record for _, record in runs.values())
columns = ["train_loss", "train_accuracy", "test_accuracy", "norm"]
records.groupby("optimizer", sort=False)[columns].mean().round(3)

# %% [markdown]
# ## The rise of the loss within a ball
#
# $\max_{\|e\| \le r} L(w + e) - L(w)$ over all weights together. What PGA finds is a
# lower bound. One evaluator measures at all of the weights, on one graph.
#
# A ball of fixed radius is small beside large weights: networks look sharp or flat in
# it by their scale alone. In the adaptive ball of
# [Kwon et al., 2021](https://arxiv.org/abs/2102.11600) each weight moves in proportion
# to its size.

# %%
loss_fn = lrlearn.evaluation.model_loss(task.model, x, y, task.loss)
balls = {
    "fixed ball": lrlearn.evaluation.SharpnessEvaluator(loss_fn),
    "adaptive ball": lrlearn.evaluation.SharpnessEvaluator(loss_fn, adaptive=True),
}
sharpness = pd.concat(
    evaluator(weights, radii=(0.01, 0.05, 0.2, 1.0)).assign(
        network=ball, optimizer=name, seed=seed
    )
    for ball, evaluator in balls.items()
    for (name, seed), (weights, _) in runs.items()
)
figure = lrlearn.plots.sharpness_by_radius(sharpness)

# %% [markdown]
# The same as a table, Adam's being 1:

# %%
table = sharpness.pivot_table("increase", ["network", "radius"], "optimizer")
table.div(table["Adam"], axis=0)[list(trainings)].round(2)

# %% [markdown]
# ## Curvature
#
# The largest eigenvalue of the Hessian is the rise within a very small ball,
# $\max_{\|e\| \le r} e^T H e / 2 = \lambda r^2 / 2$, where the gradient is zero.


# %%
@tf.function
def top_eigenvalue(weights):
    return lrlearn.evaluation.Hessian(loss_fn, weights).top_eigenvalue().value


curvature = pd.DataFrame(
    {"optimizer": name, "top eigenvalue": float(top_eigenvalue(weights))}
    for (name, _), (weights, _) in runs.items()
)
lrlearn.evaluation.summarize(curvature, ["optimizer"], ["top eigenvalue"]).round(2)

# %% [markdown]
# ## The landscape
#
# On a plane through the weights of the first seed, in two random directions whose
# parts are as large as each unit's weights
# ([Li et al., 2018](https://arxiv.org/abs/1712.09913)).

# %%
directions = lrlearn.evaluation.random_directions
landscapes = pd.concat(
    lrlearn.evaluation.landscape(
        loss_fn, runs[name, 0][0], directions(runs[name, 0][0]), points=21
    ).assign(optimizer=name)
    for name in trainings
)
figure = lrlearn.plots.loss_landscape(landscapes)

# %% [markdown]
# ## What it says
#
# In the run shown here, of three seeds each:
#
# - SAM has half of Adam's top eigenvalue, and the loss rises about half as much in the
#   largest fixed ball. But its weights are nearly twice as large, and relative to them
#   nothing is left of the gain.
# - In fixed balls the loss rises least around the weights of `lo_none`, which has
#   fitted the wrong labels, too: its training loss is a third of Adam's, and its
#   weights are four times as large. In the largest adaptive ball it rises more than
#   four times as much.
# - `lo_sam` has the same top eigenvalue as Adam, and is about level with it in all
#   balls but the largest adaptive one, in which the loss rises two thirds as much: it
#   stays at a slightly higher training loss, with smaller weights.
# - The flattest by one measure is not the best on the test images.
#
# So say which measure is meant, compare at similar training loss, and look at more than
# one seed. The plane shows two directions of many.
