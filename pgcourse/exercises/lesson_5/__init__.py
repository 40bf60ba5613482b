"""Lesson 5, What a gradient step does."""
