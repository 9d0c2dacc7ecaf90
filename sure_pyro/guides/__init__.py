"""Approximate posteriors of the missing latents and of the trained weights."""

from sure_pyro.guides.reconstructor import ReconstructorGuide

__all__ = ["ReconstructorGuide"]
