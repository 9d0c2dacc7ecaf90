"""One finding: what goes wrong, where, how that is known, and what to do."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """A sign of failure that was found.

    Parameters
    ----------
    signature : str
        Its name.
    where : str
        A modality or a phase.
    evidence : str
        The numbers, and the threshold that they passed.
    advice : str
        What to do.
    """

    signature: str
    where: str
    evidence: str
    advice: str

    def __str__(self) -> str:
        return f"{self.signature} ({self.where}): {self.evidence} {self.advice}"
