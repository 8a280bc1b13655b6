"""Files by which a user's word reaches a running calculation, wherever its worker is."""

from __future__ import annotations

__all__ = ["CANCEL_FILE"]

CANCEL_FILE = "CANCEL"
"""In the folder of a calculation: its program is to be ended, with its checkpoint written."""
