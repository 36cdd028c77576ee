"""Prepares docstrings for the site: headings as griffe knows them, equations apart."""

import re

import griffe


class Docstrings(griffe.Extension):
    """Changes every docstring."""

    def on_object(self, *, obj, **kwargs):
        """Changes one of them."""
        if obj.docstring:
            text = obj.docstring.value
            text = re.sub(r"(?m)^Example:$", "Examples:", text)
            # Without a blank line, two equations in a row are taken for one.
            obj.docstring.value = text.replace("$$\n$$", "$$\n\n$$")
