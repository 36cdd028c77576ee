"""How far replay and full tape are apart, on a real task.

An LSTM of 2x20 units trains the digits MLP for 20 steps; the error is
|replay - full tape| / |full tape|, over all of theta.

    python -m paper.checks.estimator_agreement
"""

import tensorflow as tf

import lrlearn
from lrlearn.meta import FullTape, MetaSettings, Replay
from lrlearn.meta.meta_objective import MetaObjective, Start
from lrlearn.regularizers import GAM, GSAM, SAM

# In segments: a replay of all on one tape is a full tape.
_REPLAY = Replay(segment=5)
REGULARIZERS = {
    "none": None,
    "SAM": SAM(0.1),
    "GSAM": GSAM(0.1),
    "GAM, algorithm2": GAM(),
    "GAM, released": GAM(variant="released"),
    "GAM, hvp": GAM(variant="hvp"),
}


def main():
    """Prints a table."""
    rule = lrlearn.rules.CoordinatewiseLSTM((20, 20))
    task = lrlearn.tasks.load("digits/mlp")
    for name, regularizer in REGULARIZERS.items():
        objective = MetaObjective(rule, task, regularizer, MetaSettings())
        replay, full = (_gradient(e, objective) for e in (_REPLAY, FullTape()))
        error = tf.norm(replay - full) / tf.norm(full)
        print(f"{name:<17}{float(error):.1e}")


def _gradient(estimator, objective):
    @tf.function(autograph=False)
    def estimate(theta, optimizee):
        seed = tf.constant([0, 0])
        return estimator.estimate(objective, theta, optimizee, seed, 20).gradient

    theta = {
        name: tf.constant(value) for name, value in objective.rule.init_theta().items()
    }
    gradient = estimate(theta, objective.start(Start(seed=0, steps=20)))
    return tf.concat([tf.reshape(gradient[name], [-1]) for name in sorted(theta)], 0)


if __name__ == "__main__":
    main()
