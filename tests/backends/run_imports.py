"""Uses Keras, then lrlearn; for `test_imports`.

Says which large packages each has imported, and what needs TensorFlow answers.
"""

import json
import sys

import keras

LARGE = {"tensorflow", "jax", "torch", "pandas", "matplotlib", "scipy", "sklearn"}


def use(optimizer):
    """Builds, trains and serializes a model."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(optimizer, "mse")
    model.fit(keras.ops.ones((4, 2)), keras.ops.ones((4, 1)), verbose=0)
    keras.optimizers.serialize(optimizer)
    return sorted(LARGE & sys.modules.keys())


if __name__ == "__main__":
    by_keras = use(keras.optimizers.Adam())
    import lrlearn

    lrlearn.regularizers.get("gam")
    lrlearn.SharpnessAwareModel  # noqa: B018
    by_lrlearn = use(lrlearn.LearnedOptimizer.from_preset("lo_sam"))
    answers = {}
    for name in ("MetaTrainer", "meta", "evaluation", "tasks", "plots"):
        try:
            getattr(lrlearn, name)
        except ImportError as error:
            answers[name] = str(error)
    print(json.dumps([by_keras, by_lrlearn, answers]))
