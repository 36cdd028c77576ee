"""The groups of the benchmarks: modules whose `measure` returns rows, as dicts."""
