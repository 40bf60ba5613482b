"""Lesson 2, Trajectories and the objective: probabilities, returns and scores of trajectories, and ∇J exactly."""
