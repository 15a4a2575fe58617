from animatediff_webui.hosts.webui.host_types import ImageRequest, Processed

def process_batch(
    p: ImageRequest,
    input_dir: object,
    output_dir: str,
    inpaint_mask_dir: str,
    args: tuple[object, ...],
    /,
    to_scale: bool = False,
    scale_by: float = 1.0,
) -> Processed | None: ...
