"""Pages from the Jinja2 templates in `templates/`: HTML that needs no other file, and Markdown."""

from __future__ import annotations

import base64
from typing import Any

import jinja2
import pandas as pd


def render(template: str, **context: Any) -> str:
    """Fill a template; what goes into HTML is escaped.

    Parameters
    ----------
    template : str
        Name of a file in `templates/`.
    **context
        What it names.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sure_pyro"),
        autoescape=jinja2.select_autoescape(["html"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"html_table": html_table, "base64": encoded, "rows": table_rows}
    return environment.get_template(template).render(**context)


def html_table(table: pd.DataFrame) -> str:
    """Table with the index as its first column."""
    named = table.rename_axis(table.index.name or "")
    return named.reset_index().to_html(index=False, border=0, classes=[], escape=True)


def table_rows(table: pd.DataFrame) -> list[list[str]]:
    """Headings and cells, with the index as the first column."""
    heading = [table.index.name or "", *map(str, table.columns)]
    return [heading, *([str(x) for x in line] for line in table.itertuples())]


def encoded(data: bytes) -> str:
    """Bytes for a ``data:`` address."""
    return base64.b64encode(data).decode("ascii")
