"""What steers a clip beside its prompts: networks beside the UNet, and the pictures they are given."""
