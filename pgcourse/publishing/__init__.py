"""What goes out of the house: the student edition, the instructor's course, their settings and manifests."""
