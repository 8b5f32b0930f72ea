"""COVID-19 or not: timm backbones with a fully connected head, their data and training."""
