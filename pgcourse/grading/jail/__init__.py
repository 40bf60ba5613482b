"""The jail that a submission runs in, seen from outside and from inside."""


def __getattr__(name):
    from pgcourse import renamed  # here, because a package itself imports nothing

    return renamed.attributes(__name__)(name)
