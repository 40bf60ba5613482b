"""A learner's own folder: made, opened, saved, remembered, and the machine under it looked at."""
