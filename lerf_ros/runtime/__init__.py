"""The threaded map: everything that touches it is a job of one worker."""
