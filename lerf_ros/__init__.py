"""Ask a robot's live map, in words, where things are."""

from pkgutil import extend_path

__version__ = '0.1.0'

# The generated messages, lerf_ros.msg and lerf_ros.srv, lie in the workspace's folder, which may
# be another one than that of these modules.
__path__ = extend_path(__path__, __name__)
