"""The same small model and rows as in the tests of the room below."""

from tests.evaluation import conftest as evaluated

parts, model, masked = evaluated.parts, evaluated.model, evaluated.masked
