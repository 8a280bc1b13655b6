"""What came out: readers into one Result, and what it says layer by layer."""
