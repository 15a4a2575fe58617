import hashlib
from pathlib import Path

calculated = []


def sha256(filename, title, use_addnet_hash=False):
    calculated.append(title)
    return hashlib.sha256(Path(filename).read_bytes()).hexdigest()
