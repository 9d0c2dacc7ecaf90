import os

import pytest

from sure_pyro.compare.jobs import Failed, Job, run_jobs
from sure_pyro.compare.workers import pack


def test_what_can_not_travel_is_told():
    with pytest.raises(ValueError, match="use `workers=1`"):
        pack(lambda: None)


@pytest.mark.slow
def test_a_process_that_dies_takes_only_its_own_job():
    jobs = [
        Job("dies", os._exit, lambda _: (3,)),
        Job("after", abs, lambda r: (r["dies"],), ("dies",)),
        Job("lives", abs, lambda _: (-2,)),
        Job("next", divmod, lambda r: (7, r["lives"]), ("lives",)),
        Job("lambda", lambda: None, lambda _: ()),
    ]
    results = {job.key: result for job, result in run_jobs(jobs, workers=2)}
    assert results["lives"] == 2
    assert results["next"] == (3, 1)
    assert "exit code 3" in results["dies"].reason
    assert results["after"] is results["dies"]
    assert isinstance(results["lambda"], Failed)
