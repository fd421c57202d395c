"""Trainings of methods and of the same without their idea, by one budget."""
