"""Feature extraction: one extractor a modality, all with the contract of `features.base.Extractor`."""
