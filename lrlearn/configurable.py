"""Objects that their constructor's arguments describe."""

import inspect


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


def get_by_name(kind, base, classes, identifier, arguments):
    """Returns an object given itself, or its name and arguments.

    Args:
        kind: What it is, for messages, such as `"regularizer"`.
        base: The class that all such objects are of.
        classes: A dict of names, in lower case, to classes.
        identifier: An object, or a name in any case.
        arguments: A dict of arguments of the named class.

    Raises:
        ValueError: If there is no such name, it does not take an argument, or arguments
            come with an object.
    """
    if isinstance(identifier, base):
        if arguments:
            raise ValueError(
                f"Arguments must come with a name, not with a {base.__name__}. "
                f"Received: {sorted(arguments)}"
            )
        return identifier
    name = identifier.lower() if isinstance(identifier, str) else None
    if name not in classes:
        raise ValueError(
            f"`{kind}` must be one of {tuple(classes)}, or an object of class "
            f"{base.__name__}. Received: {kind}={identifier!r}"
        )
    valid = list(inspect.signature(classes[name]).parameters)
    if unknown := sorted(arguments.keys() - set(valid)):
        raise ValueError(
            f"Arguments of {name!r} must be among {valid}. Received: {unknown}"
        )
    return classes[name](**arguments)
