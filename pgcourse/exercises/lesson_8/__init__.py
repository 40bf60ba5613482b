"""Lesson 8, Off-policy: importance weights, what they are worth, and two gradients made of them."""
