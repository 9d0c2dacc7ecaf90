"""What to conclude: from numbers to sentences, by rules that stand here and nowhere else.

Every claim needs the near end of its interval, never the estimate alone. One file per question:

=================================  ============================================================
question                           rule
=================================  ============================================================
may I trust the reconstructions?   verdict of each target's R^2 intervals (`report.reading`)
does reconstruction help?          SURE against zero and against mean filling, paired: both
                                   intervals above 0 yes, one partly, any below 0 no, otherwise
                                   not shown; no where nothing was reconstructed
may I trust the uncertainty?       size: predicted over observed variance within `RIGHT_SIZE`;
                                   ranking: correlation within masks over its attainable value,
                                   at least `RANKS_WELL`, and more than chance
which propagation?                 the point prediction if both methods are worse for certain;
                                   sampling if the methods disagree or it scores better for
                                   certain; otherwise Taylor, which is cheaper
what next?                         what the numbers call for
=================================  ============================================================
"""

from sure_pyro.report.conclusions.answer import Conclusion
from sure_pyro.report.conclusions.next_steps import about_next_steps
from sure_pyro.report.conclusions.propagation import about_propagation
from sure_pyro.report.conclusions.reconstruction import about_reconstruction
from sure_pyro.report.conclusions.task import about_task
from sure_pyro.report.conclusions.uncertainty import about_uncertainty
from sure_pyro.report.evidence import Evidence

__all__ = ["conclude"]


def conclude(evidence: Evidence) -> tuple[Conclusion, ...]:
    """Answer the five questions of a report, in order."""
    return (
        about_reconstruction(evidence),
        about_task(evidence),
        about_uncertainty(evidence),
        about_propagation(evidence),
        about_next_steps(evidence),
    )
