import pandas as pd

from sure_pyro.report.sections import PICTURES, TABLES, picture_section, table_section
from sure_pyro.report.tables import words
from tests.report.conftest import task

WORDS = words(task())


def test_every_table_and_picture_says_how_to_read_it():
    for name in TABLES:
        section = table_section(name, pd.DataFrame({"a": ["1"]}), WORDS)
        assert section.how.endswith(".")
        assert "{" not in section.how
    for name in PICTURES:
        section = picture_section("image_x" if name == "image" else name, {})
        assert section.how.endswith(".")
        assert section.picture.endswith(".png")


def test_reconstructions_that_are_shown_carry_their_verdict():
    verdicts = {"text": "nothing", "audio": "the class only"}
    assert "of text nothing; of audio the class only." in picture_section("examples", verdicts).how
    image = picture_section("image_audio", verdicts)
    assert "of audio the class only." in image.how
    assert "text" not in image.how
    assert image.title.endswith(": audio")
    assert "nothing" not in picture_section("pit", verdicts).how
