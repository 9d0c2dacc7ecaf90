"""The report as one HTML page that needs no other file and reads well on a phone."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape

import pandas as pd

from sure_pyro.report.conclusions import Conclusion
from sure_pyro.report.sections import Section

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


def page(
    title: str,
    lead: Sequence[str],
    conclusions: Sequence[Conclusion],
    sections: Sequence[Section],
    pictures: Mapping[str, bytes],
    footer: Sequence[str],
) -> str:
    """Render the page.

    Parameters
    ----------
    title : str
    lead : sequence of str
        Paragraphs below the title: what data, what was done to it.
    conclusions : sequence of Conclusion
    sections : sequence of Section
    pictures : mapping of str to bytes
        PNG files by the names that sections call them.
    footer : sequence of str
        Lines on where the report comes from.
    """
    body = [
        f"<h1>{escape(title)}</h1>",
        *(f"<p>{escape(paragraph)}</p>" for paragraph in lead),
        "<h2>What to conclude</h2>",
        *(_answer(c) for c in conclusions),
        *(_section(s, pictures) for s in sections),
        "<footer>" + "<br>".join(escape(line) for line in footer) + "</footer>",
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def _answer(c: Conclusion) -> str:
    details = "".join(f"<li>{escape(text)}</li>" for text in c.details)
    return (
        f'<div class="answer {escape(c.answer)}"><h3>{escape(c.question)}</h3>'
        f"<strong>{escape(c.headline)}</strong>"
        + (f"<ul>{details}</ul>" if details else "")
        + "</div>"
    )


def _section(s: Section, pictures: Mapping[str, bytes]) -> str:
    parts = [f"<h2>{escape(s.title)}</h2>", f'<p class="how">{escape(s.how)}</p>']
    if s.table is not None:
        parts.append(f'<div class="scroll">{_table(s.table)}</div>')
    if s.picture is not None:
        data = base64.b64encode(pictures[s.picture]).decode("ascii")
        parts.append(f'<img alt="{escape(s.title)}" src="data:image/png;base64,{data}">')
    return "\n".join(parts)


def _table(table: pd.DataFrame) -> str:
    head = "".join(f"<th>{escape(str(x))}</th>" for x in [table.index.name or "", *table.columns])
    lines = [
        f"<tr><th>{escape(str(name))}</th>"
        + "".join(f"<td>{escape(str(cell))}</td>" for cell in cells)
        + "</tr>"
        for name, *cells in table.itertuples()
    ]
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
