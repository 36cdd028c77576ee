"""What a row of a grid must hold."""

_PLACE = {"optimizer", "kind", "dataset", "network", "regime", "steps"}
_LEARNED = {"optimizer", "rule", "teacher", "meta_seed"}
_CELLS = {"meta": _LEARNED, "tuning": _PLACE, "run": _PLACE | _LEARNED | {"seed"}}
_PARTS = {
    "meta": {"theta": dict},
    "tuning": {"trials": list, "chosen": dict},
    "run": {"hyperparameters": dict, "records": list, "end": dict},
}
KINDS = tuple(_CELLS)


def is_row(row):
    """Returns whether a JSON value is a row of a grid, as far as its shape tells.

    Args:
        row: A dict, or any other JSON value.

    Example:
        >>> from paper.grid.rows import is_row
        >>> is_row({"key": "abc", "kind": "run"})
        False
    """
    if not isinstance(row, dict) or row.get("kind") not in KINDS:
        return False
    kind = row["kind"]
    parts = {"key": str, "cell": dict, "settings": dict, **_PARTS[kind]}
    if not all(isinstance(row.get(name), type_) for name, type_ in parts.items()):
        return False
    lists = [row[name] for name, type_ in parts.items() if type_ is list]
    return _is_cell(row["cell"], kind) and all(map(_is_list_of_dicts, lists))


def _is_cell(cell, kind):
    nested = any(isinstance(value, list | dict) for value in cell.values())
    return _CELLS[kind] <= cell.keys() and not nested


def _is_list_of_dicts(value):
    return bool(value) and all(isinstance(item, dict) for item in value)
