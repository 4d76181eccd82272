"""The one simulation loop: frames, progress, writer, resume, health of each sample."""
