"""The photograph encoder, whose weights are ordinary packages of the extra ``photo``.

Beside this module lies `words.json`: what was added by hand to the names of the classes.
"""

from lerf_ros.features.photo.encoder import PHOTO, PhotoEncoder, load_photo_encoder

__all__ = ['PHOTO', 'PhotoEncoder', 'load_photo_encoder']
