import numpy as np

from sure_pyro.evaluation.hidden import Hidden


def hidden(known=None):
    sigma = np.array([[1.0, 2.0, 3.0], [1.0, 1.0, 1.0]])
    truth = np.array([[1.0, 2.0, 0.0], [2.0, 2.0, 2.0]])
    return Hidden(np.array([4, 7]), truth, 0 * truth, sigma, known)


def test_variances_and_squared_errors():
    s2, e2 = hidden().pair()
    assert s2.tolist() == [[1, 4, 9], [1, 1, 1]]
    assert e2.tolist() == [[1, 4, 0], [4, 4, 4]]


def test_an_entry_whose_truth_is_not_known_gets_the_mean_of_its_row():
    known = np.array([[True, True, False], [True, True, True]])
    s2, e2 = hidden(known).pair()
    assert s2.tolist() == [[1, 4, 2.5], [1, 1, 1]]
    assert e2.tolist() == [[1, 4, 2.5], [4, 4, 4]]
    rows = np.zeros(9, dtype=bool)
    rows[4] = True
    assert hidden(known).among(rows).known.tolist() == [[True, True, False]]
