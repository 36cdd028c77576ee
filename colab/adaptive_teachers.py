# %% [markdown]
# # Teachers that adapt
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/lrlearn/lrlearn/blob/main/colab/adaptive_teachers.ipynb)
#
# A learned optimizer is meta-trained with a regularizer as its teacher. Here a
# regularizer is made of one line, several are mixed, and their strength or their
# weights change during meta-training: by a schedule, by the generalization gap, or
# learned from held-out data. It takes about a minute on one CPU core.

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
import matplotlib.pyplot as plt
import pandas as pd

import lrlearn
from lrlearn.regularizers import L2, SAM, Mixture, Penalty

# %% [markdown]
# ## A regularizer in one line
#
# A function of the loss and the parameters is a penalty; automatic differentiation
# does the rest. This one penalizes the norm of the loss's gradient.

# %%
flat = Penalty(lambda loss, w: 0.02 * lrlearn.regularizers.gradient_norm(loss, w))

# %% [markdown]
# It goes where regularizers go: into `SharpnessAwareModel`, or, as a teacher, into a
# `MetaTrainer`. A `Mixture` is a weighted mean of regularizers, and its weights may
# follow a schedule of Keras. Here plain gradients make way for SAM and the penalty.

# %%
task = lrlearn.tasks.load("digits/mlp", train_size=500, label_noise=0.3, batch_size=64)
rising = keras.optimizers.schedules.PolynomialDecay(0.0, 480, 1.0)
falling = keras.optimizers.schedules.PolynomialDecay(1.0, 480, 0.0)
mixture = Mixture([None, SAM(0.2), flat], weights=[falling, rising, rising])

keras.utils.set_random_seed(0)
model = lrlearn.SharpnessAwareModel.from_model(task.model_fn())
model.compile("adam", task.loss, metrics=["accuracy"], regularizer=mixture)
model.fit(*task.train, batch_size=64, epochs=60, verbose=0)
print(f"validation accuracy {model.evaluate(*task.validation, verbose=0)[1]:.3f}")

# %% [markdown]
# ## Teachers
#
# In meta-training, schedules follow the meta-step. `GapFeedback` makes its regularizer
# stronger while the generalization gap of the networks in meta-training grows, and
# weaker while it shrinks. `LearnedMixture` raises the weights of those members whose
# meta-gradients agree best with the meta-gradient of held-out data. The unseen network
# below plays no part in either.

# %%
META_STEPS = 40
teachers = {
    "none": None,
    "SAM": SAM(0.2),
    "feedback": lrlearn.meta.GapFeedback(SAM(0.2), factor=1.3, every=5),
    "learned mixture": lrlearn.meta.LearnedMixture(
        [None, SAM(0.2), L2(0.05)], learning_rate=5.0, every=5
    ),
}
relu = lrlearn.tasks.load(
    "digits/mlp_relu", train_size=500, label_noise=0.3, batch_size=64
)
rule = lrlearn.rules.PerParameterMLP(horizon=500)


def meta_train(teacher):
    trainer = lrlearn.MetaTrainer(
        rule,
        [task, relu],
        teacher,
        horizon=(100, 500),
        initial_scale=(0.5, 2.0),
        validation_every=None,
        meta_optimizer=keras.optimizers.Adam(5e-3, global_clipnorm=1.0),
        jit_compile=False,
        seed=0,
    )
    history = trainer.fit(META_STEPS, verbose=0)
    return trainer.theta, history.frame().set_index("step")


found = {name: meta_train(teacher) for name, teacher in teachers.items()}

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
found["feedback"][1][["strength", "gap"]].plot(ax=left, title="feedback")
weights = found["learned mixture"][1].filter(like="weight_")
weights.columns = ["none", "SAM(0.2)", "L2(0.05)"]
weights.plot(ax=right, title="weights of the learned mixture")

# %% [markdown]
# ## On an unseen network
#
# Tanh units, which no rule has seen; test accuracy after 500 steps, the mean and half
# of the 95 % interval over five seeds of the network.

# %%
unseen = lrlearn.tasks.load(
    "digits/mlp_tanh", train_size=500, label_noise=0.3, batch_size=64
)
runs = pd.concat(
    lrlearn.evaluation.Training(unseen, lrlearn.LearnedOptimizer(rule, theta), count=5)
    .run(500, range(5))
    .assign(teacher=name)
    for name, (theta, _) in found.items()
)
summary = lrlearn.evaluation.summarize(
    runs[runs["step"] == 500], ["teacher"], ["test_accuracy", "train_accuracy"]
)
(100 * summary).round(1)

# %% [markdown]
# This is one meta-seed of forty meta-steps, for demonstration. What came of such
# teachers in longer meta-training, beside fixed ones at the same budget, is on the page
# [Meta-train your own](https://lrlearn.github.io/lrlearn/meta-train/).
