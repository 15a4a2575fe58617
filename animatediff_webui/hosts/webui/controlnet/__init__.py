"""What passes between this extension and sd-webui-controlnet, an extension beside it.

It asks for names in `scripts.animatediff_utils`, `scripts.animatediff_i2ibatch` and `scripts.animatediff_mm`,
which pass on what is in `argument` and `sparsectrl`; `units` gives its units the frames of a source, and
`hints` gives each call of the model what it has prepared for the window's frames.
"""
