# %% [markdown]
# # Meta-train your own optimizer, with your own regularizer
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/lrlearn/lrlearn/blob/main/colab/meta_train_your_own.ipynb)
#
# A regularizer in lrlearn is the gradient that is handed to an optimizer in place of
# the plain one. The same ten lines serve to train a network explicitly and as the
# teacher of a learned optimizer, which then does without it.
#
# Here such a regularizer is written, two small update rules are meta-trained, without
# and with it, on digits with wrong labels, and both are tried on a network that
# neither has seen. It takes a minute or two on one CPU core.

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
import pathlib

import keras
import pandas as pd
from IPython.display import Markdown
from keras import ops

import lrlearn
from lrlearn.regularizers.gradients import gradient_norm, value_and_gradients

# %% [markdown]
# ## A regularizer
#
# [Zhao et al., 2022](https://arxiv.org/abs/2202.03599) penalize the norm of the
# gradient, $L(w) + \lambda \, |\nabla L(w)|$, whose gradient is about
# $(1 - \alpha) \, g + \alpha \, \nabla L(w + r \, g/|g|)$ with $\alpha = \lambda / r$.


# %%
@keras.saving.register_keras_serializable(package="my_package")
class GradientNorm(lrlearn.regularizers.Regularizer):
    """Penalty on the gradient's norm, by a finite difference."""

    def __init__(self, alpha=0.7, radius=0.2):
        self.alpha, self.radius = alpha, radius

    def field(self, loss_fn, params, loss, g):
        norm = ops.sqrt(sum(ops.sum(ops.square(x)) for x in g))
        scale = self.radius / (norm + 1e-12)
        ahead = [w + scale * x for w, x in zip(params, g, strict=True)]
        _, g_ahead = value_and_gradients(loss_fn, ahead)
        pairs = zip(g, g_ahead, strict=True)
        return [(1 - self.alpha) * x + self.alpha * y for x, y in pairs]

    def penalty(self, loss_fn, params):
        return self.alpha * self.radius * gradient_norm(loss_fn, params)

    def get_config(self):
        return {"alpha": self.alpha, "radius": self.radius}


# %% [markdown]
# It can be used explicitly, in `SharpnessAwareModel`:

# %%
task = lrlearn.tasks.load("digits/mlp", train_size=500, label_noise=0.2, batch_size=64)
keras.utils.set_random_seed(0)
model = lrlearn.SharpnessAwareModel.from_model(task.model_fn())
model.compile("adam", task.loss, metrics=["accuracy"], regularizer=GradientNorm())
model.fit(*task.train, batch_size=64, epochs=60, verbose=0)
print(f"validation accuracy {model.evaluate(*task.validation, verbose=0)[1]:.3f}")

# %% [markdown]
# ## Meta-training
#
# The rule is an LSTM that looks at each parameter's gradient. Every meta-step unrolls
# it for 20 steps on networks with two kinds of units. The weights kept are those with
# the best score on the validation images (the mean log loss; lower is better).

# %%
relu = lrlearn.tasks.load(
    "digits/mlp_relu", train_size=500, label_noise=0.2, batch_size=64
)
rule = lrlearn.rules.CoordinatewiseLSTM((10, 10), features="normalized", output="adam")
META_STEPS = 100


def meta_train(regularizer):
    trainer = lrlearn.MetaTrainer(
        rule,
        [task, relu],
        regularizer,
        horizon=(100, 500),
        initial_scale=(0.5, 2.0),
        validation_every=25,
        validation_steps=300,
        meta_optimizer=keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(5e-3, META_STEPS, alpha=0.02),
            global_clipnorm=1.0,
        ),
        seed=0,
    )
    history = trainer.fit(META_STEPS, verbose=0)
    return trainer.theta, history.frame()


plain, plain_history = meta_train(None)
taught, taught_history = meta_train(GradientNorm())
scores = pd.DataFrame(
    {
        "meta-step": plain_history["step"].astype(int),
        "no teacher": plain_history["score"],
        "GradientNorm": taught_history["score"],
    }
)
scores.dropna().round(3)

# %% [markdown]
# ## Use it
#
# As a Keras optimizer, on a network of tanh units that neither rule has seen, beside
# Adam with its learning rate chosen on the validation images.

# %%
unseen = lrlearn.tasks.load(
    "digits/mlp_tanh", train_size=500, label_noise=0.2, batch_size=64
)
STEPS = 500
adam = lrlearn.evaluation.Training(unseen, keras.optimizers.Adam())
rate, _ = lrlearn.evaluation.tune_learning_rate(
    adam, (0.0003, 0.001, 0.003, 0.01), STEPS, seeds=(100, 101)
)
runs = {f"Adam {rate}": (adam, rate)}
for name, theta in {"no teacher": plain, "GradientNorm": taught}.items():
    optimizer = lrlearn.LearnedOptimizer(rule, theta)
    runs[name] = lrlearn.evaluation.Training(unseen, optimizer), None

curves = pd.concat(
    training.run(STEPS, seed, rate, record_every=20).assign(
        network=unseen.name, optimizer=name, seed=seed
    )
    for name, (training, rate) in runs.items()
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
# The rule without teacher fits the wrong labels: its training accuracy is the highest
# and its test accuracy the lowest. The teacher makes up for a part of that, hardly more
# than the intervals. Tuned Adam is ahead at the end, the rules at the start. Both rules
# scored best at the first meta-validation: more meta-training helps with the training
# loss, wrong labels included. And this is one meta-seed; another may look different.
#
# ## Keep it
#
# A preset is a directory of weights, JSON and a model card, written from the metadata.

# %%
optimizer = lrlearn.LearnedOptimizer(rule, taught)
optimizer.save_to_preset(
    "my_preset",
    description="LSTM rule taught by a penalty on the gradient's norm.",
    tasks=["digits/mlp", "digits/mlp_relu"],
    regularizer="GradientNorm",
    horizon=[100, 500],
    meta_steps=META_STEPS,
    limits=["Made in a minute, from one meta-seed: for demonstration only."],
)
model.compile(
    lrlearn.LearnedOptimizer.from_preset("my_preset"), task.loss, metrics=["accuracy"]
)
Markdown(pathlib.Path("my_preset/README.md").read_text().split("---\n")[-1])

# %% [markdown]
# To publish it, pack it and put the zip file on a web server. Its address, with this
# hash at the end, is what others give to `from_preset`.

# %%
lrlearn.optimizers.presets.pack_preset("my_preset")
