# %% [markdown]
# # Quickstart: a learned optimizer in one line
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/lrlearn/lrlearn/blob/main/colab/quickstart.ipynb)
#
# A learned optimizer is a small network that turns a model's gradients into updates.
# lrlearn's presets were meta-trained, some with sharpness-aware minimization (SAM) as
# their teacher, and run as any Keras optimizer: one line in `compile`.
#
# Here one of them trains a small network beside Adam, and beside Adam with SAM itself,
# on 500 images of handwritten digits, a fifth of them with wrong labels. It takes a
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
import pandas as pd

import lrlearn

# %% [markdown]
# ## Data and network
#
# Validation and test images have the right labels.

# %%
task = lrlearn.tasks.load("digits/mlp", train_size=500, label_noise=0.2)
(x, y), validation, test = task.train, task.validation, task.test
print(f"{len(x)} training, {len(validation[0])} validation, {len(test[0])} test images")


def make_model():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Rescaling(1 / 16),
            keras.layers.Flatten(),
            keras.layers.Dense(20, "sigmoid"),
            keras.layers.Dense(10),
        ]
    )


# %% [markdown]
# ## One line
#
# `LearnedOptimizer.presets` says what there is.

# %%
for name, about in lrlearn.LearnedOptimizer.presets.items():
    print(f"{name:16}{about['description']}")

# %%
keras.utils.set_random_seed(0)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model = make_model()
model.compile(
    lrlearn.LearnedOptimizer.from_preset("lo_sam"), loss, metrics=["accuracy"]
)
model.fit(x, y, batch_size=64, epochs=60, callbacks=[lrlearn.RunLength()], verbose=0)
print(f"validation accuracy {model.evaluate(*validation, verbose=0)[1]:.3f}")

# %% [markdown]
# SAM itself is a model that gives its optimizer other gradients:

# %%
model = lrlearn.SharpnessAwareModel.from_model(make_model())
sam = lrlearn.regularizers.SAM(rho=0.2)
model.compile("adam", loss, metrics=["accuracy"], regularizer=sam)
model.fit(x, y, batch_size=64, epochs=60, verbose=0)
print(f"validation accuracy {model.evaluate(*validation, verbose=0)[1]:.3f}")

# %% [markdown]
# ## A fair comparison
#
# Adam's learning rate, SAM's radius and the preset matter, so all are chosen by the
# accuracy on the validation images at the end, over two seeds. A preset has no learning
# rate to choose. Nothing is chosen on the test images.
#
# `Training` trains a network many times over on one graph; runs of one seed share
# initial weights and batches.

# %%
STEPS = 500
own = lrlearn.tasks.Task(
    make_model, loss, (x, y), validation, test, batch_size=64, name="MLP, 20 units"
)


def adam(rho):
    """Returns Adam in training, with SAM where there is a radius."""
    sam = lrlearn.regularizers.SAM(rho) if rho else None
    return lrlearn.evaluation.Training(own, keras.optimizers.Adam(), sam)


def learned(preset):
    optimizer = lrlearn.LearnedOptimizer.from_preset(preset)
    return lrlearn.evaluation.Training(own, optimizer)


def best(trainings, rates):
    """Returns the training and the learning rate of the best validation accuracy."""
    found = []
    for name, training in trainings.items():
        rate, trials = lrlearn.evaluation.tune_learning_rate(
            training, rates, STEPS, seeds=(100, 101)
        )
        score = trials.groupby("learning_rate")["validation_accuracy"].mean()[rate]
        print(f"{name:12} learning rate {rate:5}: validation accuracy {score:.3f}")
        found.append((score, name, training, rate))
    return max(found, key=lambda item: item[0])[1:]


rates = (0.001, 0.003, 0.01, 0.03)
runs = [
    best({"Adam": adam(rho=None)}, rates),
    best({f"SAM {rho}": adam(rho) for rho in (0.05, 0.2, 0.5)}, rates),
    best({name: learned(name) for name in ("lo_none", "lo_sam")}, [1.0]),
]

# %%
curves = pd.concat(
    training.run(STEPS, seed, rate, record_every=20).assign(
        network=own.name, optimizer=name, seed=seed
    )
    for name, training, rate in runs
    for seed in range(5)
)
figure = lrlearn.plots.training_curves(curves)

# %%
last = curves[curves["step"] == STEPS]
summary = lrlearn.evaluation.summarize(
    last, ["optimizer"], ["test_accuracy", "train_accuracy"]
)
(100 * summary).round(1)

# %% [markdown]
# ## What it says
#
# `lo_none` learns the wrong labels, too, and falls behind. `lo_sam`, whose teacher was
# SAM, leaves them alone: it ends level with tuned Adam and tuned SAM, and nothing was
# tuned for it. It must be told how long the run is: `RunLength` does it in `fit`,
# `Training` by itself. On networks, data and numbers of steps unlike those of its
# meta-training a preset may do worse: try it on validation data, as here, or
# [meta-train your own](meta_train_your_own.ipynb). Each preset's model card, the
# `README.md` in its directory, says how it was made and where it fails.
