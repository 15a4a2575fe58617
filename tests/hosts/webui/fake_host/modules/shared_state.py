class State:
    def __init__(self):
        self.interrupted = self.skipped = False
        self.sampling_step = self.sampling_steps = 0
        self.job, self.time_start, self.job_count = "", 0.0, -1
        self.current_latent = self.current_image = None

    def begin(self, job="(unknown)"):
        self.interrupted = self.skipped = False
        self.job, self.time_start = job, self.time_start + 1.0

    def do_set_current_image(self):
        from modules import sd_samplers_common

        self.assign_current_image(sd_samplers_common.sample_to_image(self.current_latent))

    def assign_current_image(self, image):
        self.current_image = image
