"""CartPole: a policy that balances a pole, trained by REINFORCE."""

import functools

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from lrlearn.tasks.task import Task

# As in Gymnasium's CartPole-v1: kg, m, N, s; the pole's length is halved.
_GRAVITY, _FORCE, _TAU = 9.8, 10.0, 0.02
_CART, _POLE, _HALF_LENGTH = 1.0, 0.1, 0.5
_LARGEST_X, _LARGEST_ANGLE = 2.4, 12 * np.pi / 180
_STATE = 4
_EPISODES = 100  # of each split


def step(state, action):
    r"""Returns the states after a step of CartPole, and whether the episodes go on.

    With the force $F = \pm 10$ N, the cart's position $x$ and the pole's angle $\phi$,
    its mass $m$ and half length $l$, the total mass $M$, and Euler's method:

    $$a = \frac{F + m l \dot\phi^2 \sin\phi}{M}, \qquad
      \ddot\phi = \frac{g \sin\phi - a \cos\phi}
        {l \left(\frac 4 3 - \frac{m \cos^2\phi}{M}\right)}, \qquad
      \ddot x = a - \frac{m l \ddot\phi \cos\phi}{M}.$$

    Args:
        state: Positions, velocities, angles and angular velocities, `[..., 4]`.
        action: 1 where the cart is pushed to the right, 0 to the left, `[...]`.

    Returns:
        A tuple `(state, alive)`: `[..., 4]`, and bools `[...]`.

    Reference:
        [Barto, Sutton & Anderson, 1983](https://doi.org/10.1109/TSMC.1983.6313077), as
        corrected by Florian (2007), without friction.
    """
    x, x_dot, phi, phi_dot = tf.unstack(state, axis=-1)
    force = _FORCE * (2.0 * tf.cast(action, state.dtype) - 1.0)
    sin, cos = tf.sin(phi), tf.cos(phi)
    mass, moment = _CART + _POLE, _POLE * _HALF_LENGTH
    a = (force + moment * tf.square(phi_dot) * sin) / mass
    inertia = _HALF_LENGTH * (4 / 3 - _POLE / mass * tf.square(cos))
    phi_ddot = (_GRAVITY * sin - a * cos) / inertia
    x_ddot = a - moment / mass * phi_ddot * cos
    change = tf.stack([x_dot, x_ddot, phi_dot, phi_ddot], axis=-1)
    state = state + _TAU * change
    inside = tf.abs(tf.stack([state[..., 0], state[..., 2]], axis=-1)) <= tf.constant(
        [_LARGEST_X, _LARGEST_ANGLE], state.dtype
    )
    return state, tf.reduce_all(inside, axis=-1)


class Episodes(keras.Model):
    """Plays episodes of CartPole with a policy.

    An input is the initial state and the noise that draws an action at each step,
    uniform in [0, 1): action 1 is taken if the noise is below its probability. An
    output has, for each step, the logarithm of the probability of the action that was
    taken, and the reward: 1, and 0 after the end. Gradients flow through the former
    only, with states and actions held constant.

    Args:
        policy: A `keras.Model` of states `[batch, 4]`, with logits of both actions.

    Example:
        >>> import lrlearn
        >>> task = lrlearn.tasks.load("cartpole/mlp")
        >>> task.model(task.train[0][:3]).shape
        TensorShape([3, 200, 2])
    """

    def __init__(self, policy):
        super().__init__()
        self.policy = policy

    def call(self, x):
        """Returns log probabilities and rewards, `[batch, steps, 2]`.

        Args:
            x: Initial states and noise, `[batch, 4 + steps]`.
        """
        state, noise = x[:, :_STATE], x[:, _STATE:]
        # Eagerly, a graph made for the purpose is faster than thousands of operations.
        eager = tf.executing_eagerly()
        play = tf.function(self._play, autograph=False) if eager else self._play
        states, rewards = map(tf.stop_gradient, play(state, noise))
        logits = self.policy(tf.reshape(states, [-1, _STATE]))
        margin = tf.reshape(logits[:, 1] - logits[:, 0], tf.shape(noise))
        taken = noise < tf.sigmoid(margin)
        log_p = -tf.nn.softplus(tf.where(taken, -margin, margin))
        return tf.stack([log_p, rewards], axis=-1)

    def _play(self, state, noise):
        """Returns states before each step, `[batch, steps, 4]`, and rewards."""
        steps = noise.shape[1]
        # Not TensorArrays, nor transposed: XLA compiles no stacked ones, and no
        # derivatives of a transpose in a loop.
        states, rewards = tf.tile(state[:, None], [1, steps, 1]), tf.zeros_like(noise)

        def body(t, state, alive, states, rewards):
            now = tf.range(steps) == t
            states = tf.where(now[:, None], state[:, None], states)
            rewards = tf.where(now, tf.cast(alive, tf.float32)[:, None], rewards)
            logits = self.policy(state)
            action = noise[:, t] < tf.sigmoid(logits[:, 1] - logits[:, 0])
            state, inside = step(state, action)
            return t + 1, state, alive & inside, states, rewards

        *_, states, rewards = tf.while_loop(
            lambda t, *_: t < steps,
            body,
            (0, state, tf.ones_like(state[:, 0], tf.bool), states, rewards),
            maximum_iterations=steps,
        )
        return states, rewards


def reinforce(y_true, y_pred):
    r"""Returns the missing part of each return, with the gradient of REINFORCE.

    With returns $R_b$ of at most $T$, the loss is $1 - R_b / T$. The gradient of its
    mean over the batch is estimated by

    $$-\frac{1}{B T} \sum_b \sum_t (G_{bt} - \bar G_{bt}) \nabla \log \pi(a_{bt}),$$

    with the rewards to go $G_{bt}$ and, as the baseline, their mean $\bar G_{bt}$ over
    the other episodes at the same step.

    Args:
        y_true: Unused.
        y_pred: What `Episodes` returns, `[batch, T, 2]`.

    Reference:
        [Williams, 1992](https://doi.org/10.1007/BF00992696).
    """
    log_p, rewards = y_pred[..., 0], ops.stop_gradient(y_pred[..., 1])
    horizon, others = rewards.shape[1], ops.cast(ops.shape(rewards)[0] - 1, "float32")
    to_go = ops.flip(ops.cumsum(ops.flip(rewards, 1), axis=1), 1)
    total = ops.sum(to_go, axis=0, keepdims=True)
    baseline = (total - to_go) / ops.maximum(others, 1.0)
    surrogate = ops.sum(rewards * (to_go - baseline) * log_p, axis=1)
    surrogate = surrogate - ops.stop_gradient(surrogate)  # no value, only a gradient
    return 1.0 - (to_go[:, 0] + surrogate) / horizon


def mean_return(y_true, y_pred):
    """Returns the return of each episode, the number of steps that it lasted.

    Args:
        y_true: Unused.
        y_pred: What `Episodes` returns, `[batch, steps, 2]`.
    """
    return ops.sum(y_pred[..., 1], axis=1)


def draw(seed, episodes, horizon):
    """Returns inputs of `Episodes` as Gymnasium draws initial states, and targets 0.

    Args:
        seed: Integer tensor `[2]`.
        episodes: Their number.
        horizon: Most steps of an episode.
    """
    shape = [episodes, _STATE + horizon]
    uniform = tf.random.stateless_uniform(shape, seed, alg="philox")
    state = 0.1 * uniform[:, :_STATE] - 0.05
    x = tf.concat([state, uniform[:, _STATE:]], axis=1)
    return x, tf.zeros([episodes, 1])


def make_policy(units=32):
    """Returns a new policy, an MLP of one hidden layer of tanh units.

    Args:
        units: Their number. Defaults to `32`.
    """
    hidden = layers.Dense(units, "tanh")
    return keras.Sequential([keras.Input((_STATE,)), hidden, layers.Dense(2)])


def mlp(batch_size=16, horizon=200, name="cartpole/mlp"):
    """Returns the task of balancing a pole, with new episodes in each batch.

    Args:
        batch_size: Episodes in a batch. Defaults to `16`.
        horizon: Most steps of an episode. Defaults to `200`.
        name: See `Task`.
    """
    splits = [
        [a.numpy() for a in draw([split, 0], _EPISODES, horizon)] for split in range(3)
    ]
    return Task(
        lambda: Episodes(make_policy()),
        reinforce,
        *splits,
        batch_size=batch_size,
        name=name,
        metric=mean_return,
        batch_fn=functools.partial(draw, episodes=batch_size, horizon=horizon),
    )
