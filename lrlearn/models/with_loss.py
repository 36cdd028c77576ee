"""A model together with another loss than the one it is compiled with."""

import keras


class WithLoss(keras.Model):
    """Model that computes what another does, and has its own compiled loss.

    The other model shares its layers and variables, and is left as it is.

    Args:
        model: A `keras.Model`.
        loss: A loss as of `keras.Model.compile`, which may be a structure of them.
    """

    def __init__(self, model, loss):
        super().__init__(name=model.name)
        self.model = model
        self.output_names = getattr(model, "output_names", None)
        self.built = True
        self.compile(optimizer=None, loss=loss)

    def call(self, x, training=None):
        """Returns the other model's outputs."""
        mode = {"training": training} if self.model._call_has_training_arg else {}
        return self.model(x, **mode)
