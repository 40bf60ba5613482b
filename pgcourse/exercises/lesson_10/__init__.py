"""Lesson 10, making it work: two parts of a trainer, and the trainer."""
