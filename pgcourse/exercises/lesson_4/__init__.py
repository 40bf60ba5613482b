"""Lesson 4, REINFORCE."""
