from sure_pyro.compare.jobs import Failed, Job, longest_road_first, run_jobs


def test_jobs_get_the_results_they_need_and_errors_stay_where_they_are():
    jobs = [
        Job("two", abs, lambda _: (-2,)),
        Job("half", divmod, lambda r: (1, r["two"]), ("two",)),
        Job("wrong", divmod, lambda _: (1, 0)),
        Job("needs wrong", abs, lambda r: (r["wrong"],), ("wrong",)),
        Job("last", abs, lambda _: (-3,)),
    ]
    results = {job.key: result for job, result in run_jobs(jobs)}
    assert results["half"] == (0, 1)
    assert results["wrong"].reason.startswith("ZeroDivisionError")
    assert "Traceback" in results["wrong"].details
    assert results["needs wrong"] is results["wrong"]
    assert results["last"] == 3
    assert isinstance(results["wrong"], Failed)


def job(key, cost, *needs):
    return Job(key, abs, lambda _: (0,), needs, cost=float(cost))


def test_what_keeps_others_waiting_starts_first():
    jobs = [
        job("base", 1), job("short", 10, "base"), job("long", 10, "base"), job("leaf", 1, "short"),
        job("ensemble", 20, "long"), job("alone", 15),
    ]  # fmt: skip
    ordered = [j.key for j in longest_road_first(jobs)]
    assert ordered == ["base", "long", "ensemble", "alone", "short", "leaf"]
    for j in jobs:
        assert all(ordered.index(need) < ordered.index(j.key) for need in j.needs)
