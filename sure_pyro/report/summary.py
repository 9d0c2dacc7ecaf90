"""The conclusions and tables as Markdown, for a terminal or a pull request."""

from __future__ import annotations

from collections.abc import Sequence

from sure_pyro.compare.html import markdown_table
from sure_pyro.report.conclusions import Conclusion
from sure_pyro.report.sections import Section


def conclusions_text(conclusions: Sequence[Conclusion]) -> str:
    """Questions and answers only."""
    blocks = [
        "\n".join([f"**{c.question}** {c.headline}", *(f"- {text}" for text in c.details)])
        for c in conclusions
    ]
    return "\n\n".join(blocks)


def summary(
    title: str,
    lead: Sequence[str],
    conclusions: Sequence[Conclusion],
    sections: Sequence[Section],
    footer: Sequence[str],
) -> str:
    """Render the whole report without its pictures."""
    parts = [f"# {title}", *lead, "## What to conclude", conclusions_text(conclusions)]
    for s in sections:
        if s.table is not None:
            parts += [f"## {s.title}", s.how, markdown_table(s.table)]
    return "\n\n".join([*parts, "---", "\n".join(footer)]) + "\n"
