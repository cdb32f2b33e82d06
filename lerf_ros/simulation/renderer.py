"""Pictures of a MuJoCo model: colour, exact depth and a number per geom.

Geoms stand still between two calls of `Renderer.refresh`, so a view costs two draws and nothing
else: one with lights and antialiasing for the colour, one without either for depth and geoms.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from lerf_ros.geometry import PinholeCamera
from lerf_ros.simulation import gl


class Renderer:
    """Draws one model. Close it to give its graphics memory back.

    All renderers of a process share one OpenGL context, whose state MuJoCo sets for one model at a
    time: taking turns is right, but costs a moment at every turn.

    Args:
        model: A compiled MuJoCo model whose ``stat.extent`` is 1.
        data: Its state.
        camera: Size of the largest picture that will be drawn without a reallocation.
    """

    def __init__(self, model: Any, data: Any, camera: PinholeCamera) -> None:
        self._mujoco = gl.mujoco_module()
        self._model, self._data = model, data
        self._size = (camera.width, camera.height)
        self._closed = False
        self._context: Any = None
        self._take_turn()
        self._scene = self._mujoco.MjvScene(model, maxgeom=model.ngeom + 16)
        self._options = self._mujoco.MjvOption()
        self.refresh()

    def _take_turn(self) -> None:
        """Makes the OpenGL state that of this model, if another was drawn meanwhile."""
        gl.make_current()
        if gl.turn() is self:
            return
        former = gl.turn()
        if former is not None:
            former._free()
        mujoco, model = self._mujoco, self._model
        model.vis.global_.offwidth, model.vis.global_.offheight = self._size
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_50)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._context.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR
        gl.set_turn(self)

    def _free(self) -> None:
        gl.make_current()
        if self._context is not None:
            self._context.free()
            self._context = None

    def refresh(self) -> None:
        """Takes over the poses of all geoms from the state."""
        self._mujoco.mjv_updateScene(
            self._model,
            self._data,
            self._options,
            None,
            self._mujoco.MjvCamera(),
            self._mujoco.mjtCatBit.mjCAT_ALL,
            self._scene,
        )
        geom_type = int(self._mujoco.mjtObj.mjOBJ_GEOM)
        self._geom_of_colour = np.full(self._scene.ngeom + 1, -1, dtype=np.int32)
        for geom in self._scene.geoms[: self._scene.ngeom]:
            if geom.segid >= 0 and geom.objtype == geom_type:
                self._geom_of_colour[geom.segid + 1] = geom.objid

    def render(
        self, camera: PinholeCamera, camera_to_world: Float[np.ndarray, '4 4']
    ) -> tuple[
        UInt8[np.ndarray, 'height width 3'],
        Float[np.ndarray, 'height width'],
        Int[np.ndarray, 'height width'],
    ]:
        """Returns RGB, depth in metres (NaN where nothing is) and the id of the geom (-1: none).

        Raises:
            RuntimeError: The renderer is closed.
        """
        if self._closed:
            raise RuntimeError('renderer: it is closed')
        mujoco, scene = self._mujoco, self._scene
        self._take_turn()
        if camera.width > self._size[0] or camera.height > self._size[1]:
            self._size = (
                max(camera.width, self._size[0]),
                max(camera.height, self._size[1]),
            )
            mujoco.mjr_resizeOffscreen(*self._size, self._context)
        near, far = self._aim(camera, camera_to_world)
        area = mujoco.MjrRect(0, 0, camera.width, camera.height)
        image = np.empty((camera.height, camera.width, 3), dtype=np.uint8)
        mujoco.mjr_render(area, scene, self._context)
        mujoco.mjr_readPixels(image, None, area, self._context)

        ids = np.empty_like(image)
        inverse = np.empty((camera.height, camera.width), dtype=np.float32)
        flags = (mujoco.mjtRndFlag.mjRND_SEGMENT, mujoco.mjtRndFlag.mjRND_IDCOLOR)
        for flag in flags:
            scene.flags[flag] = True
        mujoco.mjr_render(area, scene, self._context)
        mujoco.mjr_readPixels(ids, inverse, area, self._context)
        for flag in flags:
            scene.flags[flag] = False
        number = ids.astype(np.int32) @ np.array([1, 1 << 8, 1 << 16], dtype=np.int32)
        geoms = self._geom_of_colour[np.minimum(number, len(self._geom_of_colour) - 1)]
        # The buffer holds 1 at the near plane and 0 at the far plane, linear in 1 / depth.
        depth = 1 / (1 / far + inverse.astype(np.float64) * (1 / near - 1 / far))
        depth[inverse <= 0] = np.nan
        return (
            np.ascontiguousarray(image[::-1]),
            np.ascontiguousarray(depth[::-1].astype(np.float32)),
            np.ascontiguousarray(geoms[::-1]),
        )

    def close(self) -> None:
        """Frees the graphics memory."""
        self._closed = True
        self._free()
        if gl.turn() is self:
            gl.set_turn(None)

    def _aim(
        self, camera: PinholeCamera, camera_to_world: Float[np.ndarray, '4 4']
    ) -> tuple[float, float]:
        """Sets the view; returns the distances of the near and the far plane."""
        near = float(self._model.vis.map.znear * self._model.stat.extent)
        far = float(self._model.vis.map.zfar * self._model.stat.extent)
        for eye in self._scene.camera:
            eye.pos = camera_to_world[:3, 3]
            eye.forward = camera_to_world[:3, 2]
            eye.up = -camera_to_world[:3, 1]
            eye.frustum_near, eye.frustum_far = near, far
            eye.frustum_top = near * camera.cy / camera.fy
            eye.frustum_bottom = near * (camera.cy - camera.height) / camera.fy
            eye.frustum_center = near * (camera.width / 2 - camera.cx) / camera.fx
            eye.frustum_width = near * camera.width / 2 / camera.fx
            eye.orthographic = 0
        return near, far
