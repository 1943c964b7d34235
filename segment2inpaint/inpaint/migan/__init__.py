"""MI-GAN (Sargsyan et al. 2023), from its published weights."""
