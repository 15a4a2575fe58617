"""The thread in which the page's requests are worked on: it says what went wrong to the console alone."""

import traceback


def run_and_wait_result(func, *args, **kwargs):
    try:
        return func(*args, **kwargs)
    except Exception:
        traceback.print_exc()
    return None
