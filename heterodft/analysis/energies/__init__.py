"""Energies, subtracted only where they may be: configurations, formation, segregation, defects, exchange."""

from heterodft.analysis.energies.comparison_keys import comparison_key, relative_energies
from heterodft.analysis.energies.configurations import ConfigurationEnergies, ConfigurationEnergy

__all__ = ["ConfigurationEnergies", "ConfigurationEnergy", "comparison_key", "relative_energies"]
