import re

re_extra_net = re.compile(r"<(\w+):([^>]+)>")
activated = []


def parse_prompts(prompts):
    return [re_extra_net.sub("", prompt) for prompt in prompts], re_extra_net.findall(prompts[0])


def activate(p, extra_network_data):
    activated.append(list(extra_network_data))
