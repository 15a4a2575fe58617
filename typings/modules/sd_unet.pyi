current_unet: object
