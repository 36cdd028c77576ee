"""Objects that their constructor's arguments describe."""


class Configurable:
    """An object that `get_config` describes, `from_config` makes and `repr` shows.

    Example:
        >>> import lrlearn
        >>> lrlearn.regularizers.L2(0.1)
        L2(weight=0.1)
    """

    def get_config(self):
        """Returns the constructor's arguments, as JSON types."""
        raise NotImplementedError

    @classmethod
    def from_config(cls, config):
        """Returns the object of a `get_config` dict."""
        return cls(**config)

    def __repr__(self):
        try:
            config = self.get_config()
        except NotImplementedError:  # a message may show it all the same
            return super().__repr__()
        arguments = (f"{name}={value!r}" for name, value in config.items())
        return f"{type(self).__name__}({', '.join(arguments)})"
