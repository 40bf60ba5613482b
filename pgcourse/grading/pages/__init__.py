"""What people read after grading: a student's feedback, an instructor's report."""
