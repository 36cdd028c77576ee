"""Checks of the methods that the study stands on."""
