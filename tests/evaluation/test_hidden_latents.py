import numpy as np

from sure_pyro.evaluation.hidden import hidden_latents


def test_truth_is_that_of_the_complete_rows(model, masked):
    hidden = hidden_latents(model, masked, model.predict(masked.batch, "none").reconstruction)
    truth = model.encode(masked.complete).values
    for name, h in hidden.items():
        i = masked.complete.modalities.index(name)
        assert not masked.batch.available[h.where, i].any()
        np.testing.assert_allclose(h.truth, truth[name][masked.row[h.where]].flatten(1))
