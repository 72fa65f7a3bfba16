"""Emotion recognition in filmed dialogues by fusing text, audio, video and dialogue metadata."""
