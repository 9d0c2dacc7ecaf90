"""Every dataset beside the project runs through, whatever little was learned in one epoch."""

import pytest

from sure_pyro.report import Settings, demo

NAMES = ["mfeat", "avdigits", "arem", "airquality_uci", "mosi_clean", "basicmotions"]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_report_on_every_set(name, shared_data, tmp_path):
    path = shared_data(name)
    settings = Settings(path, epochs=1, objectives=("elbo+pcc",), num_samples=4, quiet=True)
    text = demo(settings, tmp_path)
    assert "May I trust the reconstructions?" in text
    # Not the page: its pictures are base64, in which any four letters turn up some day.
    page = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert ("Truly absent" in page) is (name == "airquality_uci")
    assert ("RMSE (units of the target)" in page) is (name == "airquality_uci")
