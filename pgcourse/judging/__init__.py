"""Whether an answer is right, and which mistake it looks like: how it is called, judged, and told of."""


def __getattr__(name):
    from pgcourse import renamed  # here, because a package itself imports nothing

    return renamed.attributes(__name__)(name)
