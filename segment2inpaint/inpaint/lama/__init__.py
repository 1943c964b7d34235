"""LaMa (Suvorov et al. 2022), from its published weights."""
