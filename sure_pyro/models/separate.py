"""Location and scale in networks of their own, so that neither bends the other."""

from collections.abc import Mapping

from sure_pyro.models.reconstructor import LocScale, Reconstructor


class SeparateScale(Reconstructor):
    """mu_i from one reconstructor, sigma_i from another of the same kind (equation 2).

    In one network the likelihood weighs every squared error by 1 / sigma^2, so what is hard to
    reconstruct is learnt last, or never [Seitzer2022]_. Apart, the location can be trained by the
    squared error alone and the scale by whatever objective; both faithful to what a network of
    its own would have learnt [Stirn2023]_. Parameters and cost are doubled.

    Parameters
    ----------
    shapes : dict of (int, int)
        ``(L_i, D_i)`` per modality.
    kind : type of Reconstructor
        Of both networks.
    **options
        Of `kind`.

    References
    ----------
    .. [Seitzer2022] On the pitfalls of heteroscedastic uncertainty estimation with probabilistic
       neural networks. arXiv:2203.09168.
    .. [Stirn2023] Faithful heteroscedastic regression with neural networks. arXiv:2212.09184.
    """

    halves = True

    def __init__(self, shapes: Mapping[str, tuple[int, int]], kind: type[Reconstructor], **options):
        super().__init__(shapes)
        self.location = kind(shapes, **options)
        self.spread = kind(shapes, **options)

    def forward(self, values, visible) -> dict[str, LocScale]:
        """See `Reconstructor.forward`."""
        loc, scale = self.location(values, visible), self.spread(values, visible)
        return {name: LocScale(loc[name].loc, scale[name].scale) for name in loc}
