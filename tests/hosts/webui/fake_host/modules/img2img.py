def process_batch(
    p, input, output_dir, inpaint_mask_dir, args, to_scale=False, scale_by=1.0, use_png_info=False,
    png_info_props=None, png_info_dir=None,
):  # fmt: skip
    raise NotImplementedError("the host's own batch")
