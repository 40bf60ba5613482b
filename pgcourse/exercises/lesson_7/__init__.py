"""Lesson 7, Baselines."""
