"""One file a format of VASP, and `assembly`, which makes one Result of what a folder holds."""
