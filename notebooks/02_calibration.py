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
# # Is the uncertainty right, and what to do when it is not
#
# The [quickstart](01_quickstart.ipynb) ended with predictions that say how unsure they are. This
# page asks whether that can be believed, mask by mask, and walks on to a decision:
#
# 1. hand the prediction over to **ArviZ**: leave-one-out, predictive checks, PIT;
# 2. look **within each mask**, where faults hide that cancel on average;
# 3. **recalibrate** on held-out rows, and look again;
# 4. ask for **conformal** intervals, whose coverage does not rest on a Gaussian;
# 5. **defer** to a person, with a threshold per mask instead of one for all.
#
# How to read each picture is told at length in
# [docs/calibration.md](../docs/calibration.md#how-to-read-each-plot).

# %%
import os
import warnings

import arviz as az
import matplotlib.pyplot as plt
import numpy as np

import sure_pyro as sp
from sure_pyro import metrics, plots
from sure_pyro.calibration import arrays
from sure_pyro.data import every_mask
from sure_pyro.diagnostics import predictive_pit
from sure_pyro.evaluation import calibration_table

SMALL = bool(int(os.environ.get("SURE_PYRO_SMALL", "0")))  # a short run, to see that all cells work
EPOCHS, DRAWS = (8, 200) if SMALL else (25, 1000)
warnings.filterwarnings("ignore", module="arviz")  # its own use of matplotlib and pandas


# %% [markdown]
# ## 1. A model of few patients
#
# Disease progression of 442 diabetes patients, from three modalities: body, lipids and metabolic
# values. With so little to learn from, a network easily becomes too sure of itself, so this is a
# good place to look for it. The network that we freeze is as small as the data.
#
# The validation rows have a second purpose here. They were not trained on, so they can tell how
# large the errors really are.


# %%
def fitted(name):
    """A fitted model, its validation rows, and its test rows under every mask."""
    train, val, test = sp.load(name).split(seed=0)
    backbone = sp.MLPBackbone.for_data(train, seed=0)
    backbone = sp.pretrain(backbone, train, val, seed=0, progress_bar=False)
    model = sp.SURE(backbone, reconstructor="masked")
    options = {"objective": "elbo+pcc", "epochs": EPOCHS, "seed": 0, "progress_bar": False}
    sp.fit(model, train, val, **options)
    return model, val, every_mask(test)


model, val, masked = fitted("diabetes")
test, patient = masked.batch, masked.row
prediction = model.predict(test)
prediction

# %% [markdown]
# Every test patient stands there seven times, once under each mask. That gives each mask as many
# rows as there are patients. But seven rows of one patient are not seven patients: intervals below
# are made by drawing whole patients (`groups=patient`).
#
# ## 2. To ArviZ
#
# `to_arviz` brings draws of the output and of the latents that were missing (`posterior`), targets
# drawn from the prediction (`posterior_predictive`), the observed targets, and their likelihood
# row by row. `constant_data` says what was recorded and which source brought how much variance.

# %%
idata = sp.to_arviz(prediction, test, num_draws=DRAWS)
print(idata)
idata["constant_data"]["variance"].groupby("mask_pattern").mean().squeeze().to_pandas().T.round(0)

# %% [markdown]
# A summary of the latents that were missing: here the metabolic latents of the first rows that
# lack them, in standard deviations of the training patients.

# %%
rows = idata["posterior"]["z_metabolic"].isel(z_metabolic_row=slice(0, 2))
az.summary(rows, kind="stats")

# %% [markdown]
# ### Which of two answers says more?
#
# Leave-one-out estimates how probable a target was before it was seen. For these models it is the
# log score of the prediction, so `az.compare` ranks predictions. We compare the prediction that
# carries the uncertainty of what is missing (*Taylor*) with the one that takes the reconstruction
# as if it had been seen (*point*).

# %%
point = model.predict(test, "none")
answers = {
    "Taylor": idata,
    "point": sp.to_arviz(point, test, num_draws=DRAWS, latents=False),
}
ranking = az.compare(answers)
ranking.iloc[:, :4].round(1)

# %% [markdown]
# ### Do drawn targets look like the observed ones?
#
# On the left all targets together: the pale lines, drawn from the prediction, should surround the
# dark one. They do not: many patients are at the lower end, and the model expects a hill in the
# middle. (The dark line is so ragged because each patient stands in it seven times.) Even if they
# did, a model can get the mix right and every single row wrong. So on the right each
# target is looked up in its own predicted distribution. Were the predictions right, the dark line
# would stay among the pale ones. A bowl says that targets fall into the tails too often: the
# variances are too small.

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.5), layout="constrained")
az.plot_ppc(idata, num_pp_samples=50, ax=left, random_seed=0)
az.plot_loo_pit(idata, y="y", ax=right)
_ = (left.set_xlabel("disease progression"), right.set_xlabel("PIT"))

# %% [markdown]
# ### Within each mask
#
# The same, split by what was recorded. The grey band is where a flat histogram of as many rows
# would stay. All masks have the same fault here, which need not be so; a mean over masks would not
# have told.

# %%
pit = predictive_pit(idata)
_ = plots.plot_pit_grid(pit.values, pit.mask_pattern.values, bins=8)

# %% [markdown]
# ## 3. Recalibrate
#
# `sp.recalibrate` hides modalities of the validation rows in every possible way, compares predicted
# with actual variances, and corrects twice: the variance of each reconstruction before it is
# propagated, and that of the output afterwards. Each mask has its own factor, pulled towards that
# of all rows where it rests on little. What comes back predicts like the model did, with the same
# means.

# %%
calibrated = sp.recalibrate(model, val)
after = calibrated.predict(test)

# %% [markdown]
# Predicted over actual variance, per mask: 1 is right, and the grey band is within 10 %. Before,
# all variances were too small; after, the intervals hold 1 or come near. With ninety patients a
# mask's ratio is known to about a third only, so a dot outside the band is no verdict.

# %%
tables = {
    name: calibration_table(p, test, groups=patient, repetitions=200)
    for name, p in (("before", prediction), ("after recalibration", after))
}


def pick(table, metric):
    return table[table["metric"] == metric]


ratio = {name: pick(table, "output_ratio") for name, table in tables.items()}
_ = plots.plot_variance_ratio(ratio)

# %% [markdown]
# Coverage says the same in other words, and beside it stands what it costs. Recalibration does not
# make anything sharper at a given coverage: it puts the right label on the same intervals.

# %%
target = test.target.numpy().reshape(-1).astype(float)
LEVELS = np.linspace(0.1, 0.9, 9)


def moments(p):
    """Mean and total variance of the single output, as float64 arrays."""
    return p.mean.numpy()[:, 0].astype(float), p.total.numpy()[:, 0].astype(float)


covered = {
    name: metrics.gaussian_coverage(*moments(p), target, LEVELS)
    for name, p in (("before", prediction), ("after recalibration", after))
}
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4.3), layout="constrained")
plots.plot_coverage(covered, left, rows=len(np.unique(patient)))
_ = plots.plot_width(covered, right, unit="points of progression")

# %% [markdown]
# Did the prediction get better by it? The log score says so: being wrong costs less where the
# prediction was less certain.

# %%
answers["recalibrated"] = sp.to_arviz(after, test, num_draws=DRAWS, latents=False)
ranking = az.compare(answers)
ranking.iloc[:, :4].round(1)

# %% [markdown]
# ## 4. Conformal intervals
#
# A factor on the variance repairs the scale and leaves the shape Gaussian. Conformal intervals do
# without: they are as wide as it takes to hold 90 % of the validation rows of the same mask. Their
# promise is a theorem, with small print: it holds on average over validation sets, and the grey
# bars show where coverage lies for nine sets in ten of this size. The dots are what was
# observed on the test patients, with the uncertainty of having so few of them.

# %%
intervals = sp.conformal(calibrated, val, level=0.9)
given = intervals.predict(after)
inside = ((given.lower[:, 0] <= target) & (target <= given.upper[:, 0])).astype(float)
coverage = metrics.per_pattern(np.mean, inside, pattern=after.mask_pattern)
guarantee = intervals.guarantee()
_ = plots.plot_conformal_coverage(coverage, guarantee)

# %% [markdown]
# ## 5. Classes: the same questions on digits
#
# Four quadrants of a digit are four modalities, and fifteen masks. For classes the scale of an
# uncertainty is the probability: of all digits that are called with 80 %, four in five should be
# right. Recalibration is a temperature for each mask. We look at the masks of a single quadrant,
# where there is most to be unsure about.

# %%
model, val, masked = fitted("digits")
calibrated = sp.recalibrate(model, val)
digits, label = masked.batch, masked.batch.target.numpy()
before, after = model.predict(digits), calibrated.predict(digits)
pattern = after.mask_pattern


def probability(p):
    q = p.probabilities["taylor"].numpy().astype(float)
    return q / q.sum(1, keepdims=True)


single = [name for name in np.unique(pattern) if "+" not in name]
bins = {
    mask: {
        name: metrics.confidence_bins(
            probability(p)[pattern == mask], label[pattern == mask], 6, adaptive=True
        )
        for name, p in (("before", before), ("after recalibration", after))
    }
    for mask in single
}
counts = {mask: int((pattern == mask).sum()) for mask in single}
_ = plots.plot_panels(plots.plot_confidence_reliability, bins, rows=counts)

# %% [markdown]
# ## 6. When to ask a person
#
# A person can look at a third of the digits. Which third? One threshold on the uncertainty
# score, the same for all masks, is the obvious answer; the `DeferralPolicy` has one for each mask,
# set so that the digits that are accepted err least.
#
# Each line is a mask: the error rate among the digits that are answered, the surest first. The
# marker is where the policy stops. With one quadrant it stops early, with three hardly at all.

# %%
policy = sp.DeferralPolicy.fit(calibrated, val, budget=1 / 3)
score = 1 - probability(after).max(1)
loss = metrics.zero_one_loss(probability(after), label)
curves = arrays.risk_coverage_by_pattern(score, loss, pattern)
some = ["top_left", "bottom_left", "top_left+bottom_right", "top_left+top_right+bottom_left"]
_ = plots.plot_risk_coverage(
    {name: curves[name] for name in some}, oracle=False, thresholds=policy.thresholds.thresholds
)

# %% [markdown]
# Policy and static threshold side by side, on digits that neither was fitted on: how often the
# accepted answers are wrong, and how many are accepted. Both pictures belong together, because the
# two policies trade answers between masks. Where a score means the same under every mask a single
# threshold is as good as many. That is so here: overall the two differ by no more than chance. On
# data of your own this comparison says whether thresholds per mask are worth having; the promise of
# a risk *within* every mask (`max_risk=`) needs them in any case.

# %%
reports = {
    "threshold per mask": policy.evaluate(after, digits),
    "static threshold": policy.static.evaluate(score, loss, pattern),
}
fig, axes = plt.subplots(1, 2, figsize=(11, 6.5), sharey=True, layout="constrained")
plots.plot_deferral(reports, axes[0])
_ = plots.plot_deferral(reports, axes[1], quantity="coverage", target=2 / 3)
policy.compare(after, digits).set_index("pattern").loc[["overall", *single]].round(3)

# %% [markdown]
# Each decision comes with its reason.

# %%
decisions = policy.decide(after, digits.available)
for row in (decisions.accept.argmax(), decisions.accept.argmin()):  # the first of each kind
    print(decisions.reason[row])

# %% [markdown]
# ## 7. What this page says, checked
#
# As assertions, with the slack that the sample sizes ask for.

# %%
# 2: carrying the uncertainty scores better than taking the reconstruction for the truth,
assert list(ranking.index).index("Taylor") < list(ranking.index).index("point")
# and leave-one-out is the log score of the prediction,
score = float(idata["constant_data"]["log_predictive"].sum())
assert abs(az.loo(idata).elpd_loo / score - 1) < 0.02

# 3: variances were too small under every mask, for certain; recalibration brings all of them nearer
# to 1, whose interval then holds the right value in most masks, and it scores best of all,
first, second = (table.set_index("pattern") for table in ratio.values())
assert (first["upper"] < 1).all()
assert (np.log(second["value"]).abs() < np.log(first["value"]).abs()).all()
assert second.loc["overall", "lower"] < 1.1
assert second.loc["overall", "upper"] > 0.9
assert ranking.index[0] == "recalibrated"

# 4: and under no mask does conformal coverage lie outside what theory and chance allow.
bounds = guarantee.set_index("pattern").loc[coverage.pattern]
chance = 3 * np.sqrt(0.9 * 0.1 / coverage.rows)  # three standard errors of the test rows
assert (coverage.value > bounds["one_set_low"] - chance).all()
assert (coverage.value < bounds["one_set_high"] + chance).all()

# 6: the policy keeps its budget, within three standard errors of a share among independent digits,
n = len(np.unique(masked.row))
own, static = reports.values()
assert abs(own.coverage.overall - 2 / 3) < 3 * np.sqrt(2 / 9 / n)
# answers are wrong far less often among what is accepted than among all,
assert own.risk.overall < 0.6 * loss.mean()
# and the static threshold does as well, within the error of a difference of two shares.
chance = np.sqrt(2 * own.risk.overall * (1 - own.risk.overall) / n)
assert abs(own.risk.overall - static.risk.overall) < 2 * chance
print("All of it holds.")
