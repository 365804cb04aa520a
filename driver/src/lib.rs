//! The pure driver core: stages, task sets, retries, liveness, commit permission and progress.
