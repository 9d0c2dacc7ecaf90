import matplotlib
import pytest
from matplotlib.figure import Figure


@pytest.fixture
def ax():
    """Axes of a figure that no backend knows of."""
    return Figure(layout="constrained").subplots()


@pytest.fixture(autouse=True)
def nothing_global():
    """No plot changes a style; figures that pyplot made are closed."""
    before = dict(matplotlib.rcParams)
    yield
    import matplotlib.pyplot as plt

    assert all(matplotlib.rcParams[key] == value for key, value in before.items())
    plt.close("all")
