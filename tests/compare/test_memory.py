import numpy as np
import pytest

from sure_pyro.compare.memory import CLEAR, peak_memory


@pytest.mark.skipif(not CLEAR.exists(), reason="the system keeps no high-water mark")
def test_memory_that_was_given_back_is_still_the_peak():
    with peak_memory() as peak:
        block = np.ones(10_000_000)  # 80 MB
        del block
    assert 70 < peak.megabytes < 200
    with peak_memory() as after:
        pass
    assert after.megabytes < 40
