# %% [markdown]
# # Beyond images: text and reinforcement learning
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/lrlearn/lrlearn/blob/main/colab/beyond_images.ipynb)
#
# The presets of lrlearn were meta-trained on small classifiers of images. Here they
# train a network that reads text, and a policy that balances a pole in Gymnasium. It
# takes about a minute on one CPU core.

# %%
# On Colab, this installs lrlearn.
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("lrlearn") is None:
    repository = "https://github.com/lrlearn/lrlearn"
    package = f"lrlearn[tensorflow,rl] @ git+{repository}"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", package], check=True)

# %%
import gymnasium
import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import tensorflow as tf

import lrlearn

# %% [markdown]
# ## Text
#
# A `Task` is a function that makes a Keras model, a loss and data. This one predicts
# the next character of the help pages that come with Python, by a GRU.

# %%
task = lrlearn.tasks.load("topics/gru")
x, y = task.train
characters = lrlearn.tasks.topics.CHARACTERS
print(f"{task.num_params:,} parameters, {len(x):,} windows of {x.shape[1]} characters")
print("".join(characters[i] for i in x[1000]))

# %% [markdown]
# `Training` trains it by any Keras optimizer, and tells a learned one how long the run
# is. Adam is at its default learning rate, the presets are as they are.

# %%
STEPS = 200
optimizers = {
    "Adam": keras.optimizers.Adam(),
    "lo_none": lrlearn.LearnedOptimizer.from_preset("lo_none"),
    "lo_gam": lrlearn.LearnedOptimizer.from_preset("lo_gam"),
}
curves = pd.concat(
    lrlearn.evaluation.Training(task, optimizer)
    .run(STEPS, seeds=0, record_every=40)
    .assign(optimizer=name)
    for name, optimizer in optimizers.items()
)
losses = curves.pivot(index="step", columns="optimizer", values="validation_loss")
losses.plot(figsize=(5, 3), ylabel="validation loss, nats a character")
losses.round(3)

# %% [markdown]
# ## A policy in Gymnasium
#
# Any training loop will do: a learned optimizer has `apply_gradients` as every Keras
# optimizer. Here sixteen poles are balanced at a time, and the policy moves along the
# gradient of REINFORCE, with the mean over the poles as the baseline.

# %%
POLES, HORIZON, UPDATES = 16, 200, 30


def play(policy, environments, seed):
    """Returns states, actions and rewards, `[HORIZON, POLES, ...]`."""
    act = tf.function(lambda states: tf.random.categorical(policy(states), 1)[:, 0])
    states, _ = environments.reset(seed=seed)
    alive, played = np.ones(POLES), []
    for _ in range(HORIZON):
        actions = act(tf.constant(states)).numpy()
        after, rewards, ended, *_ = environments.step(actions)
        played.append((states, actions, alive * rewards))
        states, alive = after, alive * ~ended  # what comes after the end is left out
    return [np.array(each) for each in zip(*played, strict=True)]


def advantages_of(rewards):
    to_go = np.cumsum(rewards[::-1], axis=0)[::-1]
    return np.float32((to_go - to_go.mean(axis=1, keepdims=True)) * (rewards > 0))


def train(optimizer):
    """Returns the mean return before each update."""
    keras.utils.set_random_seed(0)
    policy = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(32, "tanh"), keras.layers.Dense(2)]
    )
    environments = gymnasium.make_vec("CartPole-v1", num_envs=POLES)
    returns = []
    for update in range(UPDATES):
        states, actions, rewards = play(policy, environments, seed=update)
        with tf.GradientTape() as tape:
            surprise = keras.ops.sparse_categorical_crossentropy(
                actions.ravel(), policy(states.reshape(-1, 4)), from_logits=True
            )
            advantages = advantages_of(rewards).ravel()
            loss = tf.reduce_sum(advantages * surprise) / (POLES * HORIZON)
        weights = policy.trainable_variables
        optimizer.apply_gradients(
            zip(tape.gradient(loss, weights), weights, strict=True)
        )
        returns.append(rewards.sum(axis=0).mean())
    environments.close()
    return returns


# %% [markdown]
# A learned optimizer is told the number of updates. Every batch is new, which is one
# epoch however long it lasts.

# %%
learned = lrlearn.LearnedOptimizer.from_preset("lo_none", total_steps=UPDATES, epochs=1)
returns = {
    "Adam, default": train(keras.optimizers.Adam()),
    "Adam, 0.01": train(keras.optimizers.Adam(0.01)),
    "lo_none": train(learned),
}
figure, axes = plt.subplots(figsize=(5, 3), layout="constrained")
for name, values in returns.items():
    axes.plot(pd.Series(values).rolling(5, min_periods=1).mean(), label=name)
axes.set(xlabel="update", ylabel="mean return, of at most 200")
axes.legend()

# %% [markdown]
# One seed, for demonstration. The page
# [Beyond images](https://lrlearn.github.io/lrlearn/beyond-images/) has five tasks with
# five seeds each, beside Adam at its default and tuned.
