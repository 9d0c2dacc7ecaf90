import jinja2
import pandas as pd
import pytest

from sure_pyro.pages import html_table, render, table_rows

TABLE = pd.DataFrame({"a<b": ["1 & 2"]}, index=["x"]).rename_axis("model")


def test_tables_have_the_index_in_front_and_are_escaped():
    html = html_table(TABLE)
    assert "<th>model</th>" in html
    assert "<td>x</td>" in html
    assert "a&lt;b" in html
    assert "1 &amp; 2" in html
    assert table_rows(TABLE) == [["model", "a<b"], ["x", "1 & 2"]]


def test_a_comparison_in_markdown_and_html():
    part = {"data": "d", "task": "regression", "table": TABLE, "sentences": ["s"], "png": b"p"}
    page = {
        "title": "Comparison",
        "how": "How.",
        "parts": [part],
        "notes": ["n"],
        "footer": ["a", "b"],
    }
    text = render("comparison.md", **page)
    assert text.startswith("# Comparison\n\n## d (regression)\n\nHow.\n\n")
    assert "| model | a<b |\n| --- | --- |\n| x | 1 & 2 |\n\n- s\n\n![d](comparison-d.png)" in text
    assert text.endswith("- n\n\n---\n\na  \nb\n")
    html = render("comparison.html", **page)
    assert html.count("<table") == html.count("<img") == 1
    assert "a<br>b</footer>" in html


def test_what_a_template_lacks_is_an_error():
    with pytest.raises(jinja2.UndefinedError, match="'title' is undefined"):
        render("page.html", footer=[])
