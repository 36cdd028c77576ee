"""The report of the grid: statistics, tables and figures."""
