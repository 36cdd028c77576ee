"""Damaged copies of files."""

import copy
import json
import struct

_VALUES = (None, True, -1, 0, 2**63, 1e308, float("nan"), "", "x" * 1000, [], {}, [[]])


def mutate(content, rng):
    """Returns bytes with some damage: flipped bits, pieces lost, moved or made up."""
    content = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        _DAMAGES[rng.integers(len(_DAMAGES))](content, rng)
    return bytes(content)


def mutate_json(text, rng):
    """Returns a JSON text with values replaced by others, lost or named otherwise."""
    value = json.loads(text)
    for _ in range(rng.integers(1, 4)):
        value = _replace(value, rng)
    return json.dumps(value).encode()


def _flip(content, rng):
    for _ in range(rng.integers(1, 9)):
        if content:
            content[rng.integers(len(content))] ^= 1 << rng.integers(8)


def _cut(content, rng):
    del content[rng.integers(len(content) + 1) :]


def _lose(content, rng):
    start = rng.integers(len(content) + 1)
    del content[start : start + rng.integers(1, 100)]


def _repeat(content, rng):
    start = rng.integers(len(content) + 1)
    content[start:start] = content[start : start + rng.integers(1, 100)]


def _make_up(content, rng):
    start = rng.integers(len(content) + 1)
    content[start : start + 8] = rng.bytes(8)


def _enlarge(content, rng):
    """Writes a huge length somewhere, as headers have them."""
    start = rng.integers(max(1, len(content) - 8))
    content[start : start + 8] = struct.pack("<Q", 2 ** int(rng.integers(31, 64)))


_DAMAGES = (_flip, _cut, _lose, _repeat, _make_up, _enlarge)


def _replace(value, rng):
    """Returns a value of JSON with another one somewhere inside."""
    inner = value if isinstance(value, dict | list) and len(value) else None
    if inner is None or rng.uniform() < 0.1:
        return copy.deepcopy(_VALUES[rng.integers(len(_VALUES))])
    keys = list(inner) if isinstance(inner, dict) else range(len(inner))
    key = keys[rng.integers(len(keys))]
    if rng.uniform() < 0.2:
        del inner[key]
    else:
        inner[key] = _replace(inner[key], rng)
    return inner
