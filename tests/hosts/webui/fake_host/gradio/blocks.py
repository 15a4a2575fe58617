class BlockContext:
    pass
