import base64
import io


def encode_pil_to_base64(image):
    if isinstance(image, str):
        return image
    with io.BytesIO() as output_bytes:
        image.save(output_bytes, format="PNG", pnginfo=None, quality=80)
        return base64.b64encode(output_bytes.getvalue())
