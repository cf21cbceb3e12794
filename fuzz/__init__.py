"""Coverage-guided fuzzing of every reader: `make fuzz`. The tests replay the corpus and mutate it at random."""
