import pandas as pd

from sure_pyro.pages import render
from sure_pyro.report.conclusions.answer import Conclusion, conclusions_text
from sure_pyro.report.sections import Section

ANSWER = Conclusion("Trust?", "no", "No.", ("Because.",))


def test_questions_and_answers():
    assert conclusions_text([ANSWER]) == "**Trust?** No.\n- Because."


def test_tables_and_no_pictures():
    table = pd.DataFrame({"a": ["1"], "b": ["2"]}, index=["x"]).rename_axis("hidden")
    sections = [Section("T", "How.", table=table), Section("P", "See.", picture="p.png")]
    text = render(
        "report.md",
        title="Title",
        lead=["lead"],
        sections=sections,
        footer=["footer"],
        conclusions_text=conclusions_text([ANSWER]),
    )
    assert "# Title\n\nlead\n\n## What to conclude\n\n**Trust?** No." in text
    assert "| hidden | a | b |\n| --- | --- | --- |\n| x | 1 | 2 |" in text
    assert "p.png" not in text
    assert text.endswith("footer\n")
