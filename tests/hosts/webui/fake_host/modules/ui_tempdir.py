registered = []


def register_tmp_file(gradio, filename):
    registered.append(filename)
