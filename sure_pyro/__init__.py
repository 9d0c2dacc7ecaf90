"""SURE as a probabilistic program: missing modalities, reconstructed with their uncertainty.

Reference and teaching implementation of "Are you SURE? Enhancing Multimodal Pretraining with
Missing Modalities through Uncertainty Estimation" (arXiv 2504.13465).
"""

import lazy_loader

# What is offered stands in ``__init__.pyi``, for type checkers and for this line alike. A name is
# imported when it is first asked for: `sure_pyro.propagation` alone needs torch and nothing else.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

__version__ = "0.1.0"
