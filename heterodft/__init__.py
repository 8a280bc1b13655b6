"""First-principles workflow manager for heterostructures."""

__version__ = "0.1.0"
__all__ = ["__version__"]
