"""What the rows say of themselves: grid, missing cells, settings, provenance."""

from paper.grid.cells import Jobs
from paper.grid.grid import GRIDS


def check(rows):
    """Checks that rows can be told apart and compared.

    Args:
        rows: A list of dicts.

    Raises:
        ValueError: If two rows are of the same cell, or if some used other data of a
            data set than others.
    """
    cells, data = {}, {}
    for row in rows:
        cell = row["kind"], _identity(row["cell"])
        if cells.setdefault(cell, row["key"]) != row["key"]:
            raise ValueError(
                "A cell must have one row: others are of other settings. Received: "
                f"{row['kind']} {row['cell']}, of keys {cells[cell]} and {row['key']}"
            )
        used = row["settings"].get("data", {})
        if "name" in used and data.setdefault(used["name"], used) != used:
            raise ValueError(
                "Rows must share the data of a data set. Received: "
                f"{data[used['name']]} and, at key {row['key']}, {used}"
            )


def grid_name(rows):
    """Returns the name of the grid that the rows are of, `None` if they do not say.

    Args:
        rows: A list of dicts.
    """
    return next((row["grid"] for row in rows if row.get("grid")), None)


def missing(rows, grid):
    """Returns the cells of a grid that the rows lack.

    Args:
        rows: A list of dicts.
        grid: Name of the grid.

    Returns:
        A tuple of the number of runs of the whole grid, and a dict from
        `(optimizer, task, regime)` to the number of runs that are missing; `(None, {})`
        for a grid of another name than `GRIDS` has.
    """
    if grid not in GRIDS:
        return None, {}
    jobs = Jobs(GRIDS[grid], lambda dataset: {}).all()
    cells = [cell for job in jobs if job.kind == "run" for cell in job.cells]
    there = {_identity(row["cell"]) for row in rows if row["kind"] == "run"}
    lacking = {}
    for cell in cells:
        if _identity(cell) not in there:
            place = (cell["optimizer"], f"{cell['dataset']}/{cell['network']}")
            key = (*place, cell["regime"])
            lacking[key] = lacking.get(key, 0) + 1
    return len(cells), lacking


def settings(rows):
    """Returns the settings of the runs by task and regime, lists of distinct ones.

    Args:
        rows: A list of dicts.
    """
    found = {}
    for row in rows:
        if row["kind"] == "run":
            cell = row["cell"]
            key = (
                f"{cell['dataset']}/{cell['network']}",
                cell["regime"],
                cell["steps"],
            )
            found.setdefault(key, row["settings"])
    return found


def is_jpeg_copy(rows):
    """Returns whether CIFAR-10 is a copy that was compressed as JPEG."""
    return any(row["settings"].get("data", {}).get("cifar10_jpeg_copy") for row in rows)


def distinct(rows, name):
    """Returns the distinct values of a part of the provenance, as text.

    Args:
        rows: A list of dicts.
        name: Name of the part: `"commit"`, `"command"`, `"date"` or `"versions"`.
    """
    values = (row[name] for row in rows if row.get(name))
    texts = (
        ", ".join(f"{k} {v}" for k, v in value.items())
        if isinstance(value, dict)
        else str(value)
        for value in values
    )
    return list(dict.fromkeys(texts))


def _identity(cell):
    return frozenset(cell.items())
