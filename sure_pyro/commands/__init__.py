"""The commands of ``python -m sure_pyro``, one file each: its arguments, and what it runs."""
