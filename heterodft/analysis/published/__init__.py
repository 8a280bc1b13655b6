"""What papers published beside what came out, see `heterodft.analysis.published.comparison`."""
