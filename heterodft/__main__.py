"""Run as ``python -m heterodft``."""

from heterodft.cli import main

if __name__ == "__main__":
    main()
