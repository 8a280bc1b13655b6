"""What the DFT code reads: protocols, species, Hubbard U, pseudopotentials, input files."""
