"""Files spoilt at random are read, or refused in words: nothing else. More by the benchmark."""

import pytest

from tests.data.formats.fuzz import TARGETS, Fuzzer


@pytest.mark.parametrize("inputs", [100, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("target", TARGETS)
def test_spoilt_files_are_read_or_refused(tmp_path, target, inputs):
    fuzzer = Fuzzer(target, tmp_path)
    fuzzer.target.read(fuzzer.folder, "error")  # as they are they can be read
    outcomes = [fuzzer.attempt(number) for number in range(inputs)]
    failed = [outcome.why for outcome in outcomes if outcome.kind == "failed"]
    assert not failed, failed[:3]
    kinds = {outcome.kind for outcome in outcomes}
    assert kinds == {"accepted", "refused"}  # both happen: something is tried
