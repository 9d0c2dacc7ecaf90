"""Pages that need no other file and read well on a phone, and tables for them."""

from __future__ import annotations

from html import escape

import pandas as pd

STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff;
  max-width: 62rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .5rem 0; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .3rem; }
p { margin: .3rem 0 .7rem; }
.how, footer { color: #444; }
.answer { border-left: .4rem solid #777; background: #f5f5f5; padding: .5rem .8rem;
  margin: .7rem 0; }
.answer.yes { border-color: #009e73; } .answer.partly { border-color: #e69f00; }
.answer.no { border-color: #d55e00; }
.answer h3 { font-size: 1rem; margin: 0; font-weight: 600; }
.answer strong { display: block; margin: .2rem 0; }
.answer ul { margin: .3rem 0; padding-left: 1.2rem; font-size: .9rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid #ddd;
  white-space: nowrap; }
thead th { border-bottom: 2px solid #555; vertical-align: bottom; white-space: normal;
  min-width: 4rem; }
tbody th { text-align: left; position: sticky; left: 0; background: #fff; }
tbody tr:last-child > * { font-weight: 600; }
img { max-width: 100%; height: auto; display: block; }
footer { font-size: .85rem; margin-top: 3rem; border-top: 1px solid #ddd; padding-top: .5rem;
  overflow-wrap: anywhere; }
@media (max-width: 40rem) { body { padding: .6rem; } h1 { font-size: 1.3rem; } }
"""


def html_page(title: str, body: str) -> str:
    """A whole page around its body, which is HTML already."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style></head>\n<body>\n"
        f"{body}\n</body></html>\n"
    )


def html_table(table: pd.DataFrame) -> str:
    """Table with the index as its first column."""
    head = "".join(f"<th>{escape(str(x))}</th>" for x in [table.index.name or "", *table.columns])
    lines = [
        f"<tr><th>{escape(str(name))}</th>"
        + "".join(f"<td>{escape(str(cell))}</td>" for cell in cells)
        + "</tr>"
        for name, *cells in table.itertuples()
    ]
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def markdown_table(table: pd.DataFrame) -> str:
    """The same in Markdown."""
    lines = [[table.index.name or "", *map(str, table.columns)]]
    lines += [[str(name), *map(str, cells)] for name, *cells in table.itertuples()]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
