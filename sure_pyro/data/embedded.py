"""Real data that comes with scikit-learn, cut into modalities: nothing is downloaded.

- ``"digits"``: 1,797 handwritten digits of 8 x 8 pixels (E. Alpaydin and C. Kaynak, Cascading
  classifiers, Kybernetika 34(4), 1998), as four quadrants.
- ``"diabetes"``: disease progression of 442 patients (B. Efron et al., Least angle regression,
  Annals of Statistics 32(2), 2004).
- ``"linnerud"``: three exercises and three body measures of 20 men (M. Tenenhaus, La regression
  PLS, 1998). Far too few rows to learn from; there for several outputs at once.
"""

from collections.abc import Callable

import numpy as np

from sure_pyro.data.arrays import from_arrays
from sure_pyro.data.batch import Batch

DIABETES = {
    "body": ["age", "sex", "bmi", "bp"],
    "lipids": ["s1", "s2", "s3", "s4"],
    "metabolic": ["s5", "s6"],
}


def load(name: str) -> Batch:
    """Load an embedded dataset, complete, in float32 and its own units.

    Parameters
    ----------
    name : {"digits", "diabetes", "linnerud"}
        ``"digits"``: modalities ``top_left``, ``top_right``, ``bottom_left``, ``bottom_right`` of
        4 x 4 grey values in 0..16, row by row, shape ``(16,)``; ten classes. ``"diabetes"``:
        ``body`` (age, sex, body mass index, blood pressure), ``lipids`` (total, LDL and HDL
        cholesterol, total/HDL), ``metabolic`` (log triglycerides, glucose); one output.
        ``"linnerud"``: ``chins``, ``situps``, ``jumps``; weight, waist and pulse.

    Returns
    -------
    Batch

    Raises
    ------
    ValueError
        If there is no such dataset.
    """
    if name not in DATASETS:
        raise ValueError(
            f"There is no embedded dataset {name!r}; there are {list(DATASETS)}. "
            "For a file use `sure_pyro.load_npz(path)`."
        )
    return DATASETS[name]()


def _digits() -> Batch:
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = digits.images.astype(np.float32)  # (B, 8, 8)
    halves = {"top": slice(0, 4), "bottom": slice(4, 8)}
    sides = {"left": slice(0, 4), "right": slice(4, 8)}
    quadrants = {
        f"{half}_{side}": images[:, rows, columns].reshape(-1, 16)
        for half, rows in halves.items()
        for side, columns in sides.items()
    }
    return from_arrays(quadrants, digits.target, class_names=[str(k) for k in range(10)])


def _diabetes() -> Batch:
    from sklearn.datasets import load_diabetes

    diabetes = load_diabetes(scaled=False)
    columns = {c: x for c, x in zip(diabetes.feature_names, diabetes.data.T, strict=True)}
    features = {
        modality: np.stack([columns[c] for c in names], 1).astype(np.float32)
        for modality, names in DIABETES.items()
    }
    return from_arrays(features, diabetes.target.astype(np.float32))


def _linnerud() -> Batch:
    from sklearn.datasets import load_linnerud

    linnerud = load_linnerud()
    features = {
        name.lower(): x[:, None].astype(np.float32)
        for name, x in zip(linnerud.feature_names, linnerud.data.T, strict=True)
    }
    return from_arrays(features, linnerud.target.astype(np.float32))


DATASETS: dict[str, Callable[[], Batch]] = {
    "digits": _digits,
    "diabetes": _diabetes,
    "linnerud": _linnerud,
}
