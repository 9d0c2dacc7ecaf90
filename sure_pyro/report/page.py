"""The report as one HTML page that needs no other file and reads well on a phone."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape

from sure_pyro.compare.html import html_page, html_table
from sure_pyro.report.conclusions import Conclusion
from sure_pyro.report.sections import Section


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
    return html_page(title, "\n".join(body))


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
        parts.append(f'<div class="scroll">{html_table(s.table)}</div>')
    if s.picture is not None:
        data = base64.b64encode(pictures[s.picture]).decode("ascii")
        parts.append(f'<img alt="{escape(s.title)}" src="data:image/png;base64,{data}">')
    return "\n".join(parts)
