"""Lesson 1, The log-gradient trick: one decision, a softmax over A actions."""
