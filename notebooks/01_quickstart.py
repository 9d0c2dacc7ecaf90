# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Quickstart: when a modality is missing
#
# A multimodal model was trained with all of its inputs, and now some of them are missing: a
# sensor failed, a report was never written. Filling the gap with something lets the model go on,
# but then it speaks with a confidence that it has no right to. SURE ([arXiv
# 2504.13465](https://arxiv.org/abs/2504.13465)) does four things instead:
#
# 1. it **reconstructs** what is missing, in the model's own latent space;
# 2. it says **how unsure** each reconstruction is;
# 3. it **carries** that uncertainty through the frozen model to the prediction, in two
#    independent ways;
# 4. it lets you **check** whether to believe it.
#
# We go this way once, on real data that can be looked at: handwritten digits cut into four
# quadrants. Each quadrant plays the part of a modality. `python -m sure_pyro demo` walks the same
# way on its own and writes a report.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

import sure_pyro as sp
from sure_pyro import metrics, plots
from sure_pyro.report.decode import fit_decoders

SMALL = bool(int(os.environ.get("SURE_PYRO_SMALL", "0")))  # a short run, to see that all cells work

# %% [markdown]
# ## 1. Data
#
# A `Batch` holds the values of each modality and, beside them, a mask that says what was
# recorded. With data of your own you would write `sp.from_arrays({"text": ..., "audio": ...},
# target)`.

# %%
data = sp.load("digits")
train, val, test = data.split(seed=0)
data

# %% [markdown]
# ## 2. A pretrained model, frozen
#
# SURE starts from a model that exists. We have none for quadrants of digits, so we train a small
# one on complete digits. From then on it is frozen: no weight of it changes any more.
#
# With your own network this step is a single line, which names the submodules whose outputs are
# the latents:
#
# ```python
# backbone = sp.Backbone.wrap(net, latents={"image": "image_proj", "text": "text_proj"})
# ```

# %%
backbone = sp.MLPBackbone.for_data(train, seed=0)
backbone = sp.pretrain(backbone, train, val, seed=0, progress_bar=False)
model = sp.SURE(backbone, reconstructor="masked", head="categorical")

# %% [markdown]
# ## 3. Fit
#
# Training has two phases. In the first, quadrants are hidden at random, and the *reconstructor*
# learns to say what the hidden latents were: a mean and a standard deviation for every entry. In
# the second, the *head* learns to classify what the frozen fusion makes of reconstructed latents.
#
# The objective `"elbo+pcc"` is the likelihood, which gives the standard deviation its scale, with
# the Pearson correlation of predicted variance and squared error beside it, which makes it large
# in the right places. The paper's own objective is `"sure"`: squared error and the correlation.

# %%
history = sp.fit(
    model,
    train,
    val,
    objective="elbo+pcc",
    epochs=25 if SMALL else None,
    seed=0,
    progress_bar=False,
)
model

# %% [markdown]
# The history has a row for every epoch. The correlation is that of the validation rows; the
# marker is at the epoch that was kept, which is chosen by the likelihood.

# %%
_ = plots.plot_correlation_history({"elbo+pcc": history})

# %% [markdown]
# ## 4. Take modalities away
#
# The test digits are complete, and that is an advantage: what we hide we know. Every test digit
# enters three times, with one, two and three of its quadrants hidden, drawn at random by a seed.

# %%
NUM_HIDDEN = (1, 2, 3)
gappy = sp.Batch.cat([sp.missing.hide_exactly(test, k, seed=k) for k in NUM_HIDDEN])
complete = sp.Batch.cat([test] * len(NUM_HIDDEN))
num_hidden = np.repeat(NUM_HIDDEN, len(test))
gappy

# %% [markdown]
# ## 5. Predict
#
# `propagate="both"` takes two methods from the latents on. **Taylor** linearises the
# frozen layers and multiplies variances by squared derivatives. **Sampling** draws the missing
# latents many times and looks at the spread. `variance/...` says which source brought how much:
# each missing quadrant, and the head itself. The outputs of a classifier are logits here.

# %%
prediction = model.predict(gappy, propagate="both", num_samples=200 if SMALL else 500, seed=0)
prediction.to_dataframe().head(3).T

# %% [markdown]
# ## 6. Look at it
#
# Latents can not be looked at, so we decode them: a linear regression from latents back to pixels,
# fitted on training digits. It is there for our eyes only.
#
# In the first row are ten digits, in the second what is left of them, in the third what is seen
# and, inside the orange lines, what was reconstructed. The last row shows the standard deviation
# of the reconstruction, dark where it is unsure: where strokes *may* be, not at the margin, where
# no digit has any ink.

# %%
decoders = fit_decoders(model, train, val, seed=0)
_, first = np.unique(test.target, return_index=True)  # the first of each class ...
rows = torch.as_tensor(first) + len(test)  # ... with two quadrants hidden

true, shown, filled, sd, framed = [], [], [], [], []
for i, (name, decoder) in enumerate(decoders.items()):
    x, seen = complete.features[name][rows].numpy(), gappy.available[rows, i : i + 1].numpy()
    loc, scale = (r[rows].flatten(1).numpy() for r in prediction.reconstruction[name])
    true.append(x)
    shown.append(np.where(seen, x, np.nan))
    filled.append(np.where(seen, x, decoder.mean(loc)))
    sd.append(np.where(seen, np.nan, decoder.sd(scale)))
    framed.append(np.broadcast_to(~seen, x.shape))


# %%
def image(quadrants):
    """Put four quadrants (n, 16) together to images (n, 8, 8)."""
    a, b, c, d = (q.reshape(-1, 4, 4) for q in quadrants)
    return np.block([[a, b], [c, d]])


fig, axes = plt.subplots(4, 1, figsize=(10, 5.5), layout="constrained")
panels = {"the digit": true, "what is left": shown, "filled in": filled}
for ax, (title, quadrants) in zip(axes, panels.items(), strict=False):
    outline = image(framed) if title == "filled in" else None
    plots.plot_images(image(quadrants), ax, title=title, limits=(0, 16), unit="ink", framed=outline)
says = [f"predicted: {p}" for p in prediction.label[rows].tolist()]
look = {"cmap": "viridis_r", "unit": "ink", "title": "its standard deviation"}
_ = plots.plot_images(image(sd), axes[3], labels=says, **look)

# %% [markdown]
# The pictures flatter. How much is reconstructed is a question for a number: R², which is 1 for a
# perfect reconstruction and 0 for the mean of the training digits. It splits by class. Between the
# classes nearly everything is found; within a class, little. So the model fills in what is typical
# of such a digit, not how this writer wrote it. Where R² is not above 0 for certain, nothing is
# reconstructed, and no uncertainty can make up for that: look here first on data of your own.

# %%
truth = complete.target.numpy()
digit = np.tile(np.arange(len(test)), len(NUM_HIDDEN))
latents = model.encode(complete).values
found = {}
for i, (name, (loc, _)) in enumerate(prediction.reconstruction.items()):
    hidden = ~gappy.available[:, i].numpy()
    z, mu = (x[hidden].flatten(1).numpy() for x in (latents[name], loc))
    found[name] = metrics.reconstructability(
        z, mu, np.zeros_like(z[0]), truth[hidden], groups=digit[hidden]
    )
_ = plots.plot_reconstructability(found)

# %% [markdown]
# ## 7. What is won
#
# Accuracy, by the number of quadrants that are hidden. *Complete* is the pretrained model on all
# four quadrants. *Zero* and *mean* fill the gap with zeros, or with the mean of the training
# digits: what one does without a reconstructor. The last column is SURE.


# %%
def by_num_hidden(score):
    """Mean of a score per row, for each number of hidden quadrants."""
    return metrics.per_pattern(np.mean, score, pattern=num_hidden).value


def is_right(output):
    return (output.argmax(-1).numpy() == truth).astype(float)


correct = {
    "complete": is_right(model.pretrained(complete)),
    "zero": is_right(model.pretrained(gappy, fill="zero")),
    "mean": is_right(model.pretrained(gappy, fill="mean")),
    "SURE": is_right(prediction.probabilities["taylor"]),
}
accuracy = pd.DataFrame({name: by_num_hidden(score) for name, score in correct.items()})
accuracy.set_axis(pd.Index(NUM_HIDDEN, name="hidden")).round(3)

# %% [markdown]
# ## 8. Where the uncertainty comes from
#
# Independent variances add up, so the variance of the prediction can be split by source. What is
# visible contributes nothing, exactly. The more is hidden, the more of the uncertainty comes from
# what is missing, and the less from the head.

# %%
variance = {name: by_num_hidden(v.mean(-1).numpy()) for name, v in prediction.variance.items()}
variance = pd.DataFrame(variance, index=pd.Index(NUM_HIDDEN, name="hidden"))
plots.plot_variance_shares(variance.div(variance.sum(axis=1), axis=0))
variance.assign(total=variance.sum(axis=1)).round(2)

# %% [markdown]
# ## 9. Two methods, one variance
#
# Taylor is cheap and exact for linear layers; ours are not linear. Sampling assumes nothing and
# is noisy. They share no approximation, so where they agree both can be believed. The check
# compares them for every source and output. `ratio` is Taylor's variance over that of the draws,
# and the noise of the draws is taken into account: they *agree* unless the ratio is off by more
# than 5 % for certain, *differ* if it is, and *disagree* if it may be off by more than 25 %.

# %%
check = prediction.cross_check()
print(check.summary())
check.to_dataframe().loc["total"].round(3)

# %% [markdown]
# ## 10. Does the uncertainty know the error?
#
# For every hidden quadrant we have the predicted variance u and the squared error e, averaged
# over its latent entries. If the model knows what it does not know, they go together. Two things
# to mind:
#
# - **Within the mask.** With fewer visible quadrants all errors are larger. An uncertainty that
#   merely counts quadrants would correlate with the error over all rows, and know nothing about
#   any of them. So we correlate among rows with the same mask, and average.
# - **The attainable value is not 1.** A squared error is a single noisy draw of its variance.
#   `attainable` is the correlation that these variances would reach *if they were right*, from
#   errors that are shuffled among the rows of a mask; `+-` is how much one data set of this size
#   scatters around it.
#
# A correlation sees only the ranking. Whether the variances have the right *scale* is a question
# of its own: the last column is predicted over actual variance, and 1 is right.

# %%
pairs, table = {}, {}
for i, (name, (loc, scale)) in enumerate(prediction.reconstruction.items()):
    hidden = ~gappy.available[:, i].numpy()
    sigma = scale[hidden].flatten(1).numpy()
    residual = (latents[name] - loc)[hidden].flatten(1).numpy()
    mask = prediction.mask_pattern[hidden]
    u, e = pairs[name] = metrics.row_pair(sigma, residual)
    attainable = metrics.attainable_correlation(sigma, residual, mask)
    table[name] = {
        "rows": len(u),
        "pooled": metrics.correlation(u, e),
        "within mask": metrics.within_pattern_correlation(u, e, mask).value,
        "attainable": attainable.value,
        "+-": attainable.spread,
        "predicted/actual": float(metrics.variance_ratio(sigma**2, residual**2)),
    }
table = pd.DataFrame(table).T
table.round(2)

# %% [markdown]
# The left picture asks the same of all hidden quadrants: rows in bins of predicted standard
# deviation, and the error that was made. On the diagonal the scale is right.
#
# The right picture is what one does with an uncertainty: answer only where one is sure, and hand
# over the rest. Its curves show the share of wrong answers among the digits that are answered,
# the surest first.

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4.5), layout="constrained")
u, e = (np.concatenate([pair[j] for pair in pairs.values()]) for j in (0, 1))
plots.plot_variance_reliability({"hidden quadrants": metrics.variance_bins(u, e)}, left)

curves, loss = {}, {}
for method in ("none", "taylor", "sampling"):
    p = prediction.probabilities[method].numpy()
    loss[method] = metrics.categorical_nll(p, truth)
    curves[method] = metrics.risk_coverage(1 - p.max(1), metrics.zero_one_loss(p, truth))
_ = plots.plot_risk_coverage(curves, right)

# %% [markdown]
# ## 11. Does the prediction get better, too?
#
# The negative log-likelihood is the price of being wrong with confidence. `none` plugs in the
# reconstruction as if it had been seen. `taylor` and `sampling` know that it was not.

# %%
nll = pd.DataFrame({method: by_num_hidden(score) for method, score in loss.items()})
nll.set_axis(pd.Index(NUM_HIDDEN, name="hidden")).round(3)

# %% [markdown]
# ## 12. On to ArviZ
#
# `to_arviz` gives draws of the outputs, predictive draws, the pointwise log-likelihood and the
# masks, so that `az.plot_ppc`, `az.loo`, `az.compare` and the rest can take over. Everything has
# named coordinates: below is the mean variance of each class's logit, by source.

# %%
idata = sp.to_arviz(prediction, gappy, num_draws=400)
print(idata)
idata["constant_data"]["variance"].mean("row").to_pandas().round(2)

# %% [markdown]
# ## 13. What this page says, checked
#
# The prose above says what holds. Here it is as assertions, so that this page can not go on
# saying what is no longer true. Each has the slack that its sample size asks for: two standard
# errors, where the three masks of a digit count as one observation, because they are not
# independent.

# %%
n = len(test)


def surely_positive(score):
    """Whether the mean of a score per row is above 0 by two standard errors."""
    per_digit = score.reshape(-1, n).mean(0)
    return per_digit.mean() > 2 * per_digit.std() / np.sqrt(n)


# 6: every quadrant is reconstructed to a degree, and the class more than what varies within it,
assert all(r.r2.lower > 0 for r in found.values())
assert all(r.between.lower > r.within.upper for r in found.values())

# 7: reconstruction beats filling with zeros, whatever the number of hidden quadrants,
gain = correct["SURE"] - correct["zero"]
assert all(surely_positive(gain[num_hidden == k]) for k in NUM_HIDDEN)

# 8: what is visible brings no variance, and the share of what is missing grows,
for i, name in enumerate(data.modalities):
    assert (prediction.variance[name][gappy.available[:, i]] == 0).all()
assert variance["head"].div(variance.sum(axis=1)).is_monotonic_decreasing

# 9: the two methods come to the same total variance within 25 %, for every class,
assert set(check.verdicts["total"]) <= {"agree", "differ"}

# 10: uncertainty goes with error within masks, and not much less than it could; its scale is right,
assert (
    table["within mask"] > 2 / np.sqrt(n)
).all()  # 1 / sqrt(n): its scatter if there were nothing
assert (table["within mask"] > table["attainable"] - 3 * table["+-"]).all()
slack = 2 * e.std() / e.mean() / np.sqrt(n)
assert 0.8 - slack < u.mean() / e.mean() < 1.25 + slack

# the surest half has less than half of the errors,
risk = curves["taylor"].risk
surest, all_rows = risk[len(risk) // 2], risk[-1]
assert surest + 2 * np.sqrt(surest * (1 - surest) / (n / 2)) < all_rows / 2

# 11: and whoever knows what was not seen predicts better than who pretends to have seen it.
assert surely_positive(loss["none"] - loss["taylor"])
assert surely_positive(loss["none"] - loss["sampling"])
print("All of it holds.")
