"""One file a format of Quantum ESPRESSO, and `assembly`, which makes one Result of what a folder holds."""
