"""Models of the task digits/mlp in files."""

import keras


def make_model(shape=(8, 8, 1), outputs=10, seed=0):
    """Returns a linear model, not compiled."""
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input(shape),
            keras.layers.Flatten(),
            keras.layers.Rescaling(1 / 16),
            keras.layers.Dense(outputs),
        ]
    )


def save_two(folder):
    """Saves a model compiled with a loss of its own, and one that is not compiled."""
    compiled, bare = make_model(seed=0), make_model(seed=1)
    compiled.add(keras.layers.Softmax())
    compiled.compile(loss="sparse_categorical_crossentropy")
    paths = [folder / name / "model.keras" for name in "ab"]
    for path in paths:
        path.parent.mkdir()
    compiled.save(paths[0])
    bare.save(paths[1])
    return paths
