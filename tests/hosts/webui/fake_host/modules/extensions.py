class Extension:
    def __init__(self, name, path, enabled=True, is_builtin=False, metadata=None):
        self.name, self.path, self.enabled = name, path, enabled


extensions = []


def active():
    return [x for x in extensions if x.enabled]
