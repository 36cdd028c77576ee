"""Lets griffe read Keras's heading `Example:` as its own `Examples:`."""

import re

import griffe


class Examples(griffe.Extension):
    """Renames the heading in every docstring."""

    def on_object(self, *, obj, **kwargs):
        """Renames it in one of them."""
        if obj.docstring:
            text = obj.docstring.value
            obj.docstring.value = re.sub(r"(?m)^Example:$", "Examples:", text)
