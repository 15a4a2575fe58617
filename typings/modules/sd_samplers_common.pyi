import torch
from PIL import Image

from animatediff_webui.hosts.webui.host_types import SdModel

approximation_indexes: dict[str, int]

class InterruptedException(BaseException): ...

def single_sample_to_image(sample: torch.Tensor, approximation: int | None = None) -> Image.Image: ...
def images_tensor_to_samples(
    image: torch.Tensor, approximation: int | None = None, model: SdModel | None = None
) -> torch.Tensor: ...
