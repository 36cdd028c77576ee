"""The grid: optimizers x tasks x meta-seeds x seeds, run cell by cell into a store."""
