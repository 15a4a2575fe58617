"""Requests, and the order in which the host carries them out."""

import json
import random

import numpy as np
import torch
from PIL import Image

from modules import extra_networks, prompt_parser, rng, scripts, sd_models, sd_samplers, shared
from modules.sd_samplers_common import decode_first_stage, images_tensor_to_samples
from modules.shared import opts, state

opt_C = 4
opt_f = 8


class StableDiffusionProcessing:
    cached_uc = [None, None]  # noqa: RUF012 (as the host has it)
    cached_c = [None, None]  # noqa: RUF012

    def __init__(self, *, sd_model=None, **fields):
        defaults = {
            "outpath_samples": None, "prompt": "", "negative_prompt": "", "styles": [], "seed": 1,
            "subseed": -1, "subseed_strength": 0, "sampler_name": "Euler", "batch_size": 1, "n_iter": 1,
            "steps": 2, "cfg_scale": 7.0, "denoising_strength": 0.75, "width": 64, "height": 64,
            "do_not_save_samples": False, "do_not_save_grid": False, "s_min_uncond": 0.0,
            "disable_extra_networks": False, "refiner": None,
        }  # fmt: skip
        for name, value in {**defaults, **fields}.items():
            setattr(self, name, value)
        self.extra_generation_params, self.comments = {}, {}
        self.scripts, self.script_args, self.is_api = None, (), False
        self.sampler = self.rng = self.paste_to = self.c = self.uc = None
        self.overlay_images = self.color_corrections = None
        self.is_hr_pass, self.iteration = False, 0
        self._before_every_sampling = []

    @property
    def sd_model(self):
        return shared.sd_model

    def _renew_forge_objects(self):
        """In forks every pass begins with the patchers as they are with LoRAs, which scripts then copy."""
        if hasattr(self.sd_model, "forge_objects"):
            self.sd_model.forge_objects = self.sd_model.forge_objects_after_applying_lora.shallow_copy()
            for patch in self._before_every_sampling:
                unet = self.sd_model.forge_objects.unet.clone()
                patch(unet)
                self.sd_model.forge_objects.unet = unet
            if self.scripts is not None:
                self.scripts.process_before_every_sampling(self)

    def comment(self, text):
        self.comments[text] = 1

    def txt2img_image_conditioning(self, x, width=None, height=None):
        return x.new_zeros(x.shape[0], 5, 1, 1)

    def init(self, all_prompts, all_seeds, all_subseeds):
        pass

    def setup_prompts(self):
        count = len(self.prompt) if isinstance(self.prompt, list) else self.batch_size * self.n_iter
        prompts = self.prompt if isinstance(self.prompt, list) else [self.prompt] * count
        negatives = (
            self.negative_prompt if isinstance(self.negative_prompt, list) else [self.negative_prompt] * count
        )
        styles = shared.prompt_styles
        self.all_prompts = [styles.apply_styles_to_prompt(x, self.styles) for x in prompts]
        self.all_negative_prompts = [
            styles.apply_negative_styles_to_prompt(x, self.styles) for x in negatives
        ]

    def get_conds_with_caching(
        self, function, required_prompts, steps, caches, extra_network_data, hires_steps=None
    ):
        key = (tuple(required_prompts), steps, shared.sd_model)
        for cache in caches:
            if cache[0] == key:
                return cache[1]
        caches[0][:] = key, function(shared.sd_model, required_prompts, steps)
        return caches[0][1]

    def setup_conds(self):
        parser = prompt_parser
        self.uc = self.get_conds_with_caching(
            parser.get_learned_conditioning,
            self.negative_prompts,
            self.steps,
            [self.cached_uc],
            self.extra_network_data,
        )
        if getattr(self.sd_model, "encodes_no_idle_prompt", False) and self.cfg_scale == 1:
            self.uc = None
        self.c = self.get_conds_with_caching(
            parser.get_multicond_learned_conditioning,
            self.prompts,
            self.steps,
            [self.cached_c],
            self.extra_network_data,
        )

    def get_conds(self):
        return self.c, self.uc

    def parse_extra_network_prompts(self):
        self.prompts, self.extra_network_data = extra_networks.parse_prompts(self.prompts)

    def close(self):
        self.sampler = self.c = self.uc = None

    def save_samples(self):
        return opts.samples_save and not self.do_not_save_samples


class Processed:
    def __init__(
        self, p, images_list, seed=-1, info="", subseed=None, all_prompts=None, all_negative_prompts=None,
        all_seeds=None, all_subseeds=None, index_of_first_image=0, infotexts=None, comments="",
    ):  # fmt: skip
        self.images, self.infotexts, self.index_of_first_image = images_list, infotexts, index_of_first_image
        self.all_seeds, self.all_prompts = p.all_seeds, p.all_prompts
        self.comments = "".join(f"{comment}\n" for comment in p.comments)

    def js(self):
        return json.dumps({"infotexts": self.infotexts, "index_of_first_image": self.index_of_first_image})


def fix_seed(p):
    p.seed = random.randrange(2**32) if p.seed == -1 else p.seed


def _overlaid(image, overlay):
    image = image.copy()
    image.paste(overlay, mask=overlay.getchannel("A"))
    return image


def create_infotext(p, all_prompts, all_seeds, all_subseeds, comments=None, iteration=0, position_in_batch=0):
    params = {"Seed": all_seeds[position_in_batch], **p.extra_generation_params}
    quoted = {key: json.dumps(str(value)) if "," in str(value) else value for key, value in params.items()}
    return f"{all_prompts[position_in_batch]}\n" + ", ".join(
        f"{key}: {value}" for key, value in quoted.items()
    )


def process_images(p):
    if p.scripts is not None:
        p.scripts.before_process(p)
    return process_images_inner(p)


def process_images_inner(p):
    p.setup_prompts()
    first = p.seed
    p.all_seeds = first if isinstance(first, list) else [first + x for x in range(len(p.all_prompts))]
    p.all_subseeds = list(range(len(p.all_prompts)))
    if p.scripts is not None:
        p.scripts.process(p)
    infotexts, output_images = [], []
    with torch.no_grad():
        p.init(p.all_prompts, p.all_seeds, p.all_subseeds)
        for n in range(p.n_iter):
            p.iteration = n
            if state.skipped:
                state.skipped = False
            if state.interrupted:
                break
            p.prompts = p.all_prompts[n * p.batch_size : (n + 1) * p.batch_size]
            p.negative_prompts = p.all_negative_prompts[n * p.batch_size : (n + 1) * p.batch_size]
            p.seeds = p.all_seeds[n * p.batch_size : (n + 1) * p.batch_size]
            p.subseeds = p.all_subseeds[n * p.batch_size : (n + 1) * p.batch_size]
            p.rng = rng.ImageRNG((opt_C, p.height // opt_f, p.width // opt_f), p.seeds)
            if p.scripts is not None:
                p.scripts.before_process_batch(
                    p, batch_number=n, prompts=p.prompts, seeds=p.seeds, subseeds=p.subseeds
                )
            p.parse_extra_network_prompts()
            if not p.disable_extra_networks:
                extra_networks.activate(p, p.extra_network_data)
            if p.scripts is not None:
                p.scripts.process_batch(
                    p, batch_number=n, prompts=p.prompts, seeds=p.seeds, subseeds=p.subseeds
                )
            p.setup_conds()
            sd_models.apply_alpha_schedule_override(p.sd_model, p)
            samples_ddim = p.sample(
                conditioning=p.c,
                unconditional_conditioning=p.uc,
                seeds=p.seeds,
                subseeds=p.subseeds,
                subseed_strength=p.subseed_strength,
                prompts=p.prompts,
            )
            p.prompts = p.all_prompts[n * p.batch_size : (n + 1) * p.batch_size]
            p.last_samples = samples_ddim
            x_samples_ddim = torch.stack([decode_first_stage(p.sd_model, x[None])[0] for x in samples_ddim])
            for i, x_sample in enumerate(((x_samples_ddim + 1) / 2).clamp(0, 1)):
                image = Image.fromarray((255 * x_sample.permute(1, 2, 0).numpy()).astype(np.uint8))
                if p.scripts is not None:
                    pp = scripts.PostprocessImageArgs(image)
                    p.scripts.postprocess_image(p, pp)
                    image = pp.image
                if p.overlay_images is not None:
                    image = _overlaid(image, p.overlay_images[i])
                if p.scripts is not None:
                    pp = scripts.PostprocessImageArgs(image)
                    p.scripts.postprocess_image_after_composite(p, pp)
                    image = pp.image
                text = create_infotext(p, p.prompts, p.seeds, p.subseeds, position_in_batch=i)
                infotexts.append(text)
                if opts.enable_pnginfo:
                    image.info["parameters"] = text
                output_images.append(image)
                if opts.return_mask:
                    output_images.append(Image.new("RGB", image.size))
    index_of_first_image = 0
    if not p.do_not_save_grid and len(output_images) > 1:
        output_images.insert(0, output_images[0])
        infotexts.insert(0, infotexts[0])
        index_of_first_image = 1
    res = Processed(p, output_images, infotexts=infotexts, index_of_first_image=index_of_first_image)
    if p.scripts is not None:
        p.scripts.postprocess(p, res)
    return res


class StableDiffusionProcessingTxt2Img(StableDiffusionProcessing):
    def __init__(self, *, enable_hr=False, hr_prompt="", hr_negative_prompt="", **fields):
        super().__init__(**fields)
        self.enable_hr, self.hr_prompt, self.hr_negative_prompt = enable_hr, hr_prompt, hr_negative_prompt
        self.hr_c = self.hr_uc = None
        self.cached_hr_c, self.cached_hr_uc = [None, None], [None, None]

    def sample(self, conditioning, unconditional_conditioning, seeds, subseeds, subseed_strength, prompts):
        self.sampler = sd_samplers.create_sampler(self.sampler_name, self.sd_model)
        x = self.rng.next()
        self._renew_forge_objects()
        samples = self.sampler.sample(
            self,
            x,
            conditioning,
            unconditional_conditioning,
            image_conditioning=self.txt2img_image_conditioning(x),
        )
        if not self.enable_hr:
            return samples
        return self.sample_hr_pass(samples, None, seeds, subseeds, subseed_strength, prompts)

    def sample_hr_pass(self, samples, decoded_samples, seeds, subseeds, subseed_strength, prompts):
        if shared.state.interrupted:
            return samples
        self.is_hr_pass = True
        self.sampler = sd_samplers.create_sampler(self.sampler_name, self.sd_model)
        samples = torch.nn.functional.interpolate(samples, scale_factor=2)
        self.rng = rng.ImageRNG(samples.shape[1:], self.seeds)
        noise = self.rng.next()
        self.calculate_hr_conds()
        self._renew_forge_objects()
        samples = self.sampler.sample_img2img(
            self,
            samples,
            noise,
            self.hr_c,
            self.hr_uc,
            steps=self.steps,
            image_conditioning=self.txt2img_image_conditioning(samples),
        )
        self.is_hr_pass = False
        return samples

    def setup_prompts(self):
        super().setup_prompts()
        if not self.enable_hr:
            return
        self.hr_prompt = self.hr_prompt or self.prompt
        self.hr_negative_prompt = self.hr_negative_prompt or self.negative_prompt
        count = len(self.all_prompts)
        styles = shared.prompt_styles
        self.all_hr_prompts = [styles.apply_styles_to_prompt(self.hr_prompt, self.styles)] * count
        self.all_hr_negative_prompts = [self.hr_negative_prompt] * count

    def calculate_hr_conds(self):
        if self.hr_c is not None:
            return
        parser = prompt_parser
        self.hr_uc = self.get_conds_with_caching(
            parser.get_learned_conditioning, self.hr_negative_prompts, self.steps, [self.cached_hr_uc], None
        )
        self.hr_c = self.get_conds_with_caching(
            parser.get_multicond_learned_conditioning, self.hr_prompts, self.steps, [self.cached_hr_c], None
        )

    def setup_conds(self):
        if self.is_hr_pass:
            self.hr_c = None
            self.calculate_hr_conds()
            return
        super().setup_conds()
        self.hr_c = self.hr_uc = None

    def get_conds(self):
        return (self.hr_c, self.hr_uc) if self.is_hr_pass else super().get_conds()

    def parse_extra_network_prompts(self):
        res = super().parse_extra_network_prompts()
        if self.enable_hr:
            batch = slice(self.iteration * self.batch_size, (self.iteration + 1) * self.batch_size)
            self.hr_prompts, self.hr_negative_prompts = (
                self.all_hr_prompts[batch],
                self.all_hr_negative_prompts[batch],
            )
            self.hr_prompts, self.hr_extra_network_data = extra_networks.parse_prompts(self.hr_prompts)
        return res


class StableDiffusionProcessingImg2Img(StableDiffusionProcessing):
    def __init__(self, *, init_images=None, resize_mode=0, mask=None, **fields):
        super().__init__(**fields)
        self.init_images, self.resize_mode, self.image_mask = init_images, resize_mode, mask
        self.mask = self.nmask = self.init_latent = self.image_conditioning = None
        self.inpaint_full_res = False

    def init(self, all_prompts, all_seeds, all_subseeds):
        self.sampler = sd_samplers.create_sampler(self.sampler_name, self.sd_model)
        imgs = [
            np.array(each.convert("RGB").resize((self.width, self.height)), np.float32)
            for each in self.init_images
        ]
        if len(imgs) == 1:
            imgs = imgs * self.batch_size
        elif len(imgs) <= self.batch_size:
            self.batch_size = len(imgs)
        else:
            raise RuntimeError(
                f"bad number of images passed: {len(imgs)}; expecting {self.batch_size} or less"
            )
        image = torch.from_numpy(np.stack(imgs) / 255).permute(0, 3, 1, 2)
        self.init_latent = images_tensor_to_samples(image, 0, self.sd_model)
        if self.image_mask is not None:
            small = self.image_mask.convert("L").resize(self.init_latent.shape[:1:-1])
            nmask = torch.from_numpy(np.array(small, np.float32) / 255).round()
            self.nmask = nmask.expand(self.init_latent.shape[1:])
            self.mask = 1 - self.nmask
            kept = self.init_images[0].convert("RGBA")
            kept.putalpha(self.image_mask.convert("L").point(lambda level: 255 - level))
            self.overlay_images = [kept] * self.batch_size
        self.image_conditioning = self.txt2img_image_conditioning(self.init_latent)

    def sample(self, conditioning, unconditional_conditioning, seeds, subseeds, subseed_strength, prompts):
        x = self.rng.next()
        self._renew_forge_objects()
        samples = self.sampler.sample_img2img(
            self,
            self.init_latent,
            x,
            conditioning,
            unconditional_conditioning,
            image_conditioning=self.image_conditioning,
        )
        if self.mask is not None:
            samples = samples * self.nmask + self.init_latent * self.mask
        return samples
