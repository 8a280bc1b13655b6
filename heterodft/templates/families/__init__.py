"""Recorded checksums of pseudopotential families (data only)."""
