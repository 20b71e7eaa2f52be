"""The one place of the version; `pyproject.toml` and every file we write take it from here."""

__version__ = "0.1.0"
