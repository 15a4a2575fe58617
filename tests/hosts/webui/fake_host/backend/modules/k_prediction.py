def rescale_zero_terminal_snr_sigmas(sigmas):
    return sigmas * 2  # no arithmetic of its own: what is tested is that it is called
