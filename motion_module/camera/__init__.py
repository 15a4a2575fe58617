"""CameraCtrl (He et al., arXiv 2404.02101): a motion module that is told how a camera moves."""
