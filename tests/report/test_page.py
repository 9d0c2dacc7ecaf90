import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from sure_pyro.pages import render
from sure_pyro.report.conclusions.answer import Conclusion
from sure_pyro.report.sections import Section

VOID = {"meta", "br", "img"}


class Balanced(HTMLParser):
    """Fails where a tag is not closed in order."""

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def html():
    table = pd.DataFrame({"a<b": ["1 & 2"]}, index=["x"]).rename_axis("hidden")
    sections = [Section("T", "How.", table=table), Section("P", "How.", picture="p.png")]
    answer = Conclusion("Trust?", "no", "No <script>.", ("one", "two"))
    return render(
        "report.html",
        title="SURE on x",
        lead=["lead"],
        conclusions=[answer],
        sections=sections,
        pictures={"p.png": b"\x89PNG"},
        footer=["footer"],
    )


def test_tags_are_balanced(html):
    parser = Balanced()
    parser.feed(html)
    assert parser.open == []


def test_text_is_escaped(html):
    assert "No &lt;script&gt;." in html
    assert "a&lt;b" in html
    assert "1 &amp; 2" in html


def test_nothing_is_fetched_from_elsewhere(html):
    assert not re.search(r'(src|href)="(?!data:)', html)
    assert "url(" not in html
    assert "data:image/png;base64,iVBORw==" in html


def test_it_fits_a_phone(html):
    assert 'name="viewport"' in html
    assert '<div class="scroll"><table' in html
    assert "max-width: 100%" in html


def test_conclusions_come_first(html):
    assert html.index("No &lt;script&gt;") < html.index("<table")
    assert 'class="answer no"' in html
