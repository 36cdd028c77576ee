"""TensorFlow Datasets as arrays."""


def read(name, data_dir=None):
    """Returns the arrays of a data set (a dict `x_train`, `y_train`, `x_test`, ...)."""
    import tensorflow_datasets as tfds

    arrays = {}
    for split in ("train", "test"):
        data = tfds.load(name, split=split, data_dir=data_dir, batch_size=-1)
        arrays[f"x_{split}"] = data["image"].numpy()
        arrays[f"y_{split}"] = data["label"].numpy().astype("uint8")
    return arrays
