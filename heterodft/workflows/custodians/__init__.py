"""Custodian jobs and validators for Quantum ESPRESSO; those for VASP come with custodian."""
