"""A proof for each number: a closed form or an identity, in float64. And who calls them."""

import ast
import inspect
import itertools
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.distributions import MultivariateNormal, Normal

import sure_pyro as sp
from sure_pyro import equations
from sure_pyro.propagation.more import second_order


def randn(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def two_points(mean, sd):
    """Every combination of mean - sd and mean + sd (2^D, D): moments over these are exact."""
    signs = torch.tensor([*itertools.product((-1.0, 1.0), repeat=len(mean))], dtype=mean.dtype)
    return mean + sd * signs


def numbered():
    """The functions of the module whose docstring begins with the number of an equation."""
    found = inspect.getmembers(equations, inspect.isfunction)
    numbers = {name: re.match(r"Equation (\d+),", f.__doc__ or "") for name, f in found}
    return {name: int(number.group(1)) for name, number in numbers.items() if number}


def test_there_is_one_function_for_each_number():
    proven = {int(name[5:7]) for name in globals() if re.match(r"test_\d\d_", name)}
    assert sorted(numbered().values()) == sorted(proven) == list(range(1, 12))


@pytest.fixture(scope="module")
def callers():
    """Rooms that call each equation while a small model is fitted, predicts and is checked."""
    found = {number: set() for number in numbered().values()}

    def seen(function, number, room):
        def call(*args):
            found[number].add(room)
            return function(*args)

        return call

    assert all((sp.models, sp.training))  # imported by this: `sp` imports what it is asked for
    with pytest.MonkeyPatch.context() as patch:
        rooms = [path for path in sys.modules if path.startswith("sure_pyro.")]
        for path, (name, number) in itertools.product(rooms, numbered().items()):
            module, function = sys.modules[path], getattr(equations, name)
            if module is not equations and getattr(module, name, None) is function:
                patch.setattr(module, name, seen(function, number, path.split(".")[1]))
        train, val, test = sp.load("digits")[:90].split(seed=0)
        model = sp.SURE(sp.MLPBackbone.for_data(train, seed=0))
        sp.fit(model, train, val, epochs=1, seed=0, progress_bar=False)
        gappy = sp.missing.mcar(test, rate=0.4, seed=1)
        model.predict(gappy, "both", num_samples=10).cross_check().to_dataframe()
        second_order(torch.tanh, torch.zeros(1, 2), torch.ones(1, 2))
    return found


def test_the_rooms_call_the_equations(callers):
    at_least = {
        **{1: {"models"}, 2: {"models"}, 3: {"models"}, 4: {"models", "training"}},
        **{5: {"objectives"}, 6: {"objectives"}},
        **{7: {"propagation"}, 8: {"propagation", "training"}, 9: {"propagation"}},
        **{10: {"propagation"}, 11: {"propagation"}},
    }
    for number, rooms in at_least.items():
        assert callers[number] >= rooms, number


PACKAGE = Path(equations.__file__).parent


def imports(path):
    """Modules that a file imports when it is imported itself."""
    for node in ast.parse(path.read_text()).body:  # not those under TYPE_CHECKING or in a function
        if isinstance(node, ast.ImportFrom):
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def of_ours_and_others(path):
    modules = set(imports(path))
    ours = {name for name in modules if name.startswith("sure_pyro")}
    return ours, {name.partition(".")[0] for name in modules - ours} - sys.stdlib_module_names


@pytest.mark.parametrize(("room", "libraries"), [("propagation", set()), ("objectives", {"pyro"})])
def test_rooms_that_stand_alone_import_the_equations_and_nothing_else_of_ours(room, libraries):
    for path in [*(PACKAGE / room).rglob("*.py"), PACKAGE / "equations.py"]:
        ours, others = of_ours_and_others(path)
        foreign = {name for name in ours if not name.startswith(f"sure_pyro.{room}")}
        assert foreign <= {"sure_pyro.equations"}, path
        assert others <= {"torch", "numpy", "jaxtyping"} | libraries, path


def test_core_of_propagation_does_not_know_the_optional_methods():
    for path in (PACKAGE / "propagation").glob("*.py"):
        assert not {name for name in imports(path) if "more" in name.split(".")}, path


def test_01_projection_is_f_of_x_and_leaves_f_alone():
    f = torch.nn.Linear(3, 2).double()
    x = randn(4, 3)
    z = equations.projection(f, x)
    torch.testing.assert_close(z, x @ f.weight.T.detach() + f.bias.detach(), rtol=1e-12, atol=0)
    assert not z.requires_grad


def test_02_density_of_a_reconstruction_is_the_conditional_one():
    # chain rule: log p(a, b) = log p(b) + log p(a | b), for any a and b
    S = torch.tensor([[2.0, 0.6], [0.6, 1.0]], dtype=torch.float64)
    joint, marginal = MultivariateNormal(S.new_zeros(2), S), Normal(S.new_zeros(()), S[1, 1].sqrt())

    def r(z_v, v):
        mu = S[0, 1] / S[1, 1] * z_v["b"]
        return mu, (S[0, 0] - S[0, 1] ** 2 / S[1, 1]).sqrt().expand_as(mu)

    a, b = randn(7, 1), randn(7, 1, seed=1)
    v = {"a": torch.zeros(7, dtype=torch.bool), "b": torch.ones(7, dtype=torch.bool)}
    mu, sigma = equations.reconstruction(r, {"a": a, "b": b}, v)
    expected = joint.log_prob(torch.cat([a, b], 1))
    found = (marginal.log_prob(b) + Normal(mu, sigma).log_prob(a))[:, 0]
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("poison", [torch.nan, torch.inf, 1e30])
def test_02_what_is_not_visible_has_no_effect(poison):
    v = {"a": torch.tensor([True, False]), "b": torch.tensor([[True, False], [True, True]])}
    z = {"a": randn(2, 3), "b": randn(2, 2, 3)}
    hidden = {name: torch.where(equations._beside(v[name], z[name]), z[name], poison) for name in z}
    seen = []
    for latents in (z, hidden):
        seen.append(equations.reconstruction(lambda z_v, v: z_v, latents, v))
    for name in z:
        assert torch.equal(seen[0][name], seen[1][name])
        assert torch.equal(seen[0][name][v[name]], z[name][v[name]])


def test_03_fusion_sees_the_latent_where_visible_else_the_location():
    z, mu, v = randn(2, 3), randn(2, 3, seed=1), torch.tensor([True, False])
    zt = equations.fusion_input(z, mu, v)
    torch.testing.assert_close(zt, v[:, None] * z + ~v[:, None] * mu, rtol=0, atol=0)
    z[1], mu[0] = torch.nan, torch.nan
    assert torch.equal(equations.fusion_input(z, mu, v), zt)
    tokens = torch.tensor([[True, False]])  # of a sequence, token by token
    zt = equations.fusion_input(randn(1, 2, 3), torch.zeros(1, 2, 3).double(), tokens)
    assert torch.equal(zt, torch.stack([randn(1, 2, 3)[0, 0], torch.zeros(3).double()])[None])


def test_04_response_is_the_head_on_the_fused_representation():
    V, W, zt = randn(3, 4), randn(4, 2, seed=1), randn(5, 3, seed=2)
    mean, variance = equations.response(lambda h: (h @ W, (h @ W).exp()), lambda z: z @ V, zt)
    torch.testing.assert_close(mean, zt @ (V @ W), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(variance, (zt @ (V @ W)).exp(), rtol=1e-10, atol=1e-12)


def test_05_correlation_is_that_of_numpy_over_the_pairs_that_count():
    u, e, counts = randn(9), randn(9, seed=1), torch.arange(9) % 3 > 0
    expected = np.corrcoef(u[counts].numpy(), e[counts].numpy())[0, 1]
    hidden = torch.where(counts, u, torch.nan)
    assert float(equations.correlation(hidden, e, counts)) == pytest.approx(expected, abs=1e-14)


def test_05_correlation_ignores_scale_and_offset_and_is_one_on_a_line():
    u, e, counts = randn(9), randn(9, seed=1), torch.ones(9, dtype=torch.bool)
    rho = equations.correlation(u, e, counts)
    torch.testing.assert_close(equations.correlation(3 * u - 5, e, counts), rho)
    torch.testing.assert_close(equations.correlation(-u, e, counts), -rho)
    torch.testing.assert_close(equations.correlation(u, 2 * u + 1, counts), torch.ones_like(rho))


def test_05_correlation_has_the_gradient_of_its_differences():
    u, e, counts = randn(6).requires_grad_(), randn(6, seed=1).requires_grad_(), torch.arange(6) > 0
    assert torch.autograd.gradcheck(lambda u, e: equations.correlation(u, e, counts), (u, e))


@pytest.mark.parametrize("rows", [0, 1, 7])
def test_05_correlation_is_zero_with_gradient_zero_where_it_is_not_defined(rows):
    u = (0.1 + 1e-8 * (torch.arange(7) % 2)).requires_grad_()  # but for the last digit, constant
    e = torch.arange(7.0).requires_grad_()
    rho = equations.correlation(u, e, torch.arange(7) < rows)
    assert rho == 0
    assert not any(g.any() for g in torch.autograd.grad(rho, (u, e)))


def test_05_correlation_of_numbers_whose_squares_leave_the_range():
    u, e, counts = randn(9).float(), randn(9, seed=1).float(), torch.ones(9, dtype=torch.bool)
    rho = equations.correlation(u, e, counts)
    torch.testing.assert_close(equations.correlation(1e-30 * u, 1e30 * e, counts), rho)


def test_06_objective_by_hand():
    rho = torch.tensor([1.0, -1.0, 0.5]).unbind()
    assert float(equations.objective(torch.tensor(-12.0), 4.0, [0.5] * 3, rho)) == 3 + 0.5 * 2.5
    assert equations.objective(-12.0, 4.0, [], []) == 3  # lambda 0: the ELBO alone
    with pytest.raises(ValueError, match="longer"):
        equations.objective(-12.0, 4.0, [0.5], rho)


def test_07_taylor_variance_is_the_variance_of_a_linear_output():
    W, mean, sd = randn(4, 3), randn(4, seed=1), randn(4, seed=2).abs()
    y = two_points(mean, sd) @ W
    found = equations.taylor_variance(W.T, sd.square())
    torch.testing.assert_close(found, y.var(0, correction=0), rtol=1e-12, atol=0)


def test_08_independent_sources_add_up():
    z = two_points(randn(3), randn(3, seed=1).abs())  # three sources, independent of each other
    found = equations.total_variance(z.var(0, correction=0).unbind())
    torch.testing.assert_close(found, z.sum(1).var(correction=0), rtol=1e-12, atol=0)


def test_09_second_order_mean_is_the_mean_of_a_quadratic_output():
    A, b, mean, sd = randn(3, 3), randn(3, seed=1), randn(3, seed=2), randn(3, seed=3).abs()

    def y(z):
        return ((z @ A) * z).sum(-1) + z @ b

    H = torch.autograd.functional.hessian(y, mean)
    found = equations.second_order_mean(y(mean), H.diagonal(), sd.square())
    torch.testing.assert_close(found, y(two_points(mean, sd)).mean(), rtol=1e-12, atol=0)


def test_10_law_of_total_variance():
    y = randn(5, 8) * randn(5, 1, seed=1) + randn(5, 1, seed=2)  # 5 draws s, 8 outcomes given each
    m, s2 = y.mean(1), y.var(1, correction=0)
    between, within = equations.law_of_total_variance(torch.mean, m, s2)
    torch.testing.assert_close(between + within, y.var(correction=0), rtol=1e-12, atol=0)
    torch.testing.assert_close(within, s2.mean())


def test_11_cross_check_ratio():
    taylor, sampling = torch.tensor([1.0, 0.0, 0.0, 3.0]), torch.tensor([2.0, 0.0, 5.0, 0.0])
    ratio = equations.cross_check_ratio(taylor, sampling)
    assert ratio.tolist() == [0.5, 1.0, 0.0, torch.inf]
