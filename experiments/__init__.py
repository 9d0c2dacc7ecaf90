"""The questions that the paper left open, as scripts: ``python -m experiments.NAME``."""
