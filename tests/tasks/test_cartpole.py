"""CartPole is that of Gymnasium, and REINFORCE is what its formula says."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import lrlearn
from lrlearn.tasks import cartpole

HORIZON = 30


@pytest.fixture(name="episodes", scope="module")
def _episodes():
    """A policy, inputs, and what its episodes gave."""
    keras.utils.set_random_seed(0)
    policy = cartpole.make_policy(units=8)
    policy.set_weights([3.0 * w for w in policy.get_weights()])
    x, y = cartpole.draw(tf.constant([1, 2]), 6, HORIZON)
    return policy, x, y, cartpole.Episodes(policy)


def _play(policy, x):
    """Plays one episode step by step; returns states, actions and rewards."""
    state, alive, played = x[None, :4], True, []
    for noise in x[4:]:
        logits = policy(state).numpy()[0].astype("float64")
        action = int(noise < 1.0 / (1.0 + np.exp(logits[0] - logits[1])))
        played.append((state[0], action, float(alive)))
        state, inside = (a.numpy() for a in cartpole.step(state, np.array([action])))
        alive = alive and bool(inside[0])
    return tuple(map(np.array, zip(*played, strict=True)))


def test_rewards_end_when_the_pole_has_fallen(episodes):
    policy, x, y, model = episodes
    rewards = model(x)[..., 1].numpy()
    expected = np.stack([_play(policy, row)[2] for row in x.numpy()])
    np.testing.assert_array_equal(rewards, expected)
    assert 0 < rewards[:, -1].sum() < 6 or len(set(rewards.sum(axis=1))) > 1
    returns = cartpole.mean_return(y, model(x)).numpy()
    np.testing.assert_array_equal(returns, expected.sum(axis=1))


@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
def test_the_gradient_is_that_of_reinforce(episodes, mode):
    """A sum over steps of advantages times gradients of log probabilities."""
    policy, x, y, model = episodes
    weights = policy.trainable_variables

    def gradients():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(cartpole.reinforce(y, model(x)))
        return loss, tape.gradient(loss, weights)

    if mode != "eager":
        gradients = tf.function(
            gradients, autograph=False, jit_compile=True if mode == "xla" else None
        )
    loss, received = gradients()
    played = [_play(policy, row) for row in x.numpy()]
    states, actions, rewards = (np.stack(each) for each in zip(*played, strict=True))
    to_go = np.cumsum(rewards[:, ::-1], axis=1)[:, ::-1]
    baseline = (to_go.sum(axis=0) - to_go) / 5
    advantages = np.float32((to_go - baseline) * rewards)
    with tf.GradientTape() as tape:
        log_p = -keras.ops.sparse_categorical_crossentropy(
            actions.ravel(), policy(states.reshape(-1, 4)), from_logits=True
        )
        surrogate = -tf.reduce_sum(advantages.ravel() * log_p) / (6 * HORIZON)
    for one, other in zip(received, tape.gradient(surrogate, weights), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)
    expected = 1.0 - rewards.sum(axis=1).mean() / HORIZON
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_batches_are_new():
    """Initial states are uniform in [-0.05, 0.05], noise in [0, 1)."""
    task = lrlearn.tasks.load("cartpole/mlp", batch_size=500)
    (x, _), (again, _), (other, _) = (
        task.batch("train", tf.constant([0, i])) for i in (1, 1, 2)
    )
    assert x.shape == (500, 204)
    np.testing.assert_array_equal(x, again)
    assert np.any(x != other)
    state, noise = x[:, :4], x[:, 4:]
    assert np.abs(state).max() <= 0.05 and np.abs(np.mean(state)) < 0.01
    assert np.min(noise) >= 0 and np.max(noise) < 1
    assert abs(np.mean(noise) - 0.5) < 0.01
    assert task.epochs(1000) == 1.0


@pytest.mark.long
def test_adam_learns_to_balance():
    task = lrlearn.tasks.load("cartpole/mlp")
    training = lrlearn.evaluation.Training(task, keras.optimizers.Adam(0.01), count=2)
    returns = training.run(60, [0, 1]).pivot(
        index="step", columns="seed", values="validation_mean_return"
    )
    assert (returns.loc[0] < 60).all() and (returns.loc[60] > 100).all()


@pytest.mark.long
def test_dynamics_are_gymnasiums():
    gymnasium = pytest.importorskip("gymnasium")
    environment = gymnasium.make("CartPole-v1").unwrapped
    rng = np.random.default_rng(0)
    lengths = []
    for episode in range(20):
        state, _ = environment.reset(seed=episode)
        mine, ended, length = state.astype("float64")[None], False, 0
        while not ended:
            action = int(rng.integers(2))
            state, _, ended, *_ = environment.step(action)
            mine, inside = cartpole.step(tf.constant(mine), tf.constant([action]))
            np.testing.assert_allclose(mine[0], state, rtol=1e-5, atol=1e-6)
            assert bool(inside[0]) is not bool(ended)
            length += 1
        lengths.append(length)
    assert len(set(lengths)) > 3
