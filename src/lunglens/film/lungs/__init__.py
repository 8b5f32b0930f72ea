"""Lung fields: UNet, loss, training and mask post-processing."""
