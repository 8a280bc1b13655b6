"""How it is run: the campaign file, its calculations, the queue and what watches each run."""
