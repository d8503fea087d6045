"""dc-dedup: exact, verified near-duplicates with evidence, and decontamination against other files."""
