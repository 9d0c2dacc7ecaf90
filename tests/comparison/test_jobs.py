import os
import threading

import pytest

from sure_pyro.comparison.jobs import Failed, Job, run_jobs


def test_jobs_get_the_results_they_need_and_errors_stay_where_they_are():
    jobs = [
        Job("two", abs, lambda _: (-2,)),
        Job("half", divmod, lambda r: (1, r["two"]), ("two",)),
        Job("wrong", divmod, lambda _: (1, 0)),
        Job("needs wrong", abs, lambda r: (r["wrong"],), ("wrong",)),
        Job("last", abs, lambda _: (-3,)),
    ]
    results = {job.key: result for job, result in run_jobs(jobs)}
    assert list(results) == [job.key for job in jobs]
    assert results["half"] == (0, 1)
    assert results["wrong"].reason.startswith("ZeroDivisionError")
    assert "Traceback" in results["wrong"].details
    assert results["needs wrong"] is results["wrong"]
    assert results["last"] == 3
    assert isinstance(results["wrong"], Failed)


@pytest.mark.slow
def test_a_process_that_dies_takes_only_its_own_job():
    jobs = [
        Job("dies", os._exit, lambda _: (3,)),
        Job("after", abs, lambda r: (r["dies"],), ("dies",)),
        Job("lives", abs, lambda _: (-2,)),
        Job("next", divmod, lambda r: (7, r["lives"]), ("lives",)),
        Job("lambda", lambda: 5, lambda _: ()),
        Job("lock", id, lambda _: (threading.Lock(),)),
        Job("here", os.getpid, lambda _: (), here=True),
        *(Job(f"more {k}", abs, lambda _, k=k: (k,)) for k in range(6)),
    ]
    results = {job.key: result for job, result in run_jobs(jobs, workers=2)}
    assert results["lives"] == 2
    assert results["next"] == (3, 1)
    assert "it ended before the job was done" in results["dies"].reason
    assert results["after"] is results["dies"]
    assert results["lambda"] == 5  # what is defined in a notebook travels
    assert "pickle" in results["lock"].reason
    assert results["here"] == os.getpid()
    assert [results[f"more {k}"] for k in range(6)] == list(range(6))
