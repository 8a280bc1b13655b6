"""The state contract: the magnetic state that was asked for against the one that was reached.

``comparison`` tells two sets of moments apart, ``asked`` what a request wants and whether a run has it, ``naming``
which order that is, ``before`` whether a step carries the state of the one it starts from, ``contract`` writes all of
it down with the result, ``choice`` is what the user wants done about it, ``seeds`` how a lost state is tried again,
``changed`` what becomes of a finished result when the choice changes.
"""

from heterodft.workflows.state.asked import AskedState, Judgement, asked_state
from heterodft.workflows.state.choice import Unreached, unreached_of
from heterodft.workflows.state.comparison import Verdict, compare_moments, compare_vectors

__all__ = [
    "AskedState",
    "Judgement",
    "Unreached",
    "Verdict",
    "asked_state",
    "compare_moments",
    "compare_vectors",
    "unreached_of",
]
