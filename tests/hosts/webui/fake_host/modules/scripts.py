import sys

AlwaysVisible = object()
current_basedir = ""
scripts_data = []


class PostprocessImageArgs:
    def __init__(self, image):
        self.image = image


class Script:
    args_from = args_to = None
    infotext_fields = None

    def title(self):
        raise NotImplementedError

    def postprocess_image_after_composite(self, p, pp, *args):
        pass


class ScriptRunner:
    """Calls scripts in turn; what they raise is reported and goes no further."""

    def __init__(self):
        self.alwayson_scripts, self.reported = [], []

    def _call(self, method, p, *args, **kwargs):
        for script in self.alwayson_scripts:
            function = getattr(script, method, None)
            if function is None:
                continue
            try:
                function(p, *args, *p.script_args[script.args_from : script.args_to], **kwargs)
            except Exception as error:
                self.reported.append(error)
                print(f"*** Error running {method}: {error!r}", file=sys.stderr)

    def before_process(self, p):
        self._call("before_process", p)

    def process(self, p):
        self._call("process", p)

    def before_process_batch(self, p, **kwargs):
        self._call("before_process_batch", p, **kwargs)

    def process_batch(self, p, **kwargs):
        self._call("process_batch", p, **kwargs)

    def process_before_every_sampling(self, p, **kwargs):
        self._call("process_before_every_sampling", p, **kwargs)

    def postprocess_image(self, p, pp):
        self._call("postprocess_image", p, pp)

    def postprocess_image_after_composite(self, p, pp):
        self._call("postprocess_image_after_composite", p, pp)

    def postprocess(self, p, processed):
        self._call("postprocess", p, processed)

    def run(self, p, *args):
        return None


def basedir():
    return current_basedir


scripts_img2img = None
