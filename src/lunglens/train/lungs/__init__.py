"""The lung UNet: training, measuring on held-out patients, holding it against the COVID masks."""
