from PIL import Image


def flatten(img, bgcolor):
    return img.convert("RGB")


def resize_image(resize_mode, im, width, height, upscaler_name=None):
    return im.resize((width, height))


def read(fp, **kwargs):
    return Image.open(fp)
