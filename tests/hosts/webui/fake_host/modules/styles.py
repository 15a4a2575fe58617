class StyleDatabase:
    def __init__(self):
        self.styles = {}

    def apply_styles_to_prompt(self, prompt, styles):
        return ", ".join([prompt.strip(), *(self.styles[name] for name in styles)])

    def apply_negative_styles_to_prompt(self, prompt, styles):
        return prompt
