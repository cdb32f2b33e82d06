"""Prepares a mesh for drawing: one normal and one texture coordinate per vertex."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from lerf_ros.geometry import Array
from lerf_ros.simulation.shapes import Mesh


@dataclass(frozen=True, eq=False)
class ShadedMesh:
    """A mesh with one normal and one texture coordinate per vertex, as graphics cards want it."""

    vertices: Float[Array, 'n 3']
    normals: Float[Array, 'n 3']
    uv: Float[Array, 'n 2']
    faces: Int[Array, 'm 3']


def shaded(mesh: Mesh, crease_deg: float = 38.0) -> ShadedMesh:
    """Returns the mesh with normals that are smooth except across edges sharper than the crease.

    Each normal is the area-weighted mean of the faces around its corner that lie within the
    crease angle of its own face.
    """
    _, weld = np.unique(np.round(mesh.vertices, 6), axis=0, return_inverse=True)
    corner = weld.reshape(-1)[mesh.faces].reshape(-1)
    a, b, c = (mesh.vertices[mesh.faces[:, i]] for i in range(3))
    weighted = np.cross(b - a, c - a)
    unit = weighted / np.linalg.norm(weighted, axis=1, keepdims=True)
    face = np.repeat(np.arange(len(mesh.faces)), 3)

    order = np.argsort(corner, kind='stable')
    count = np.bincount(corner)[corner]  # corners that share this corner's vertex
    first = np.searchsorted(corner[order], corner)
    mine = np.repeat(np.arange(len(corner)), count)
    rank = np.arange(len(mine)) - np.repeat(np.cumsum(count) - count, count)
    other = order[first[mine] + rank]
    near = np.einsum('ij,ij->i', unit[face[mine]], unit[face[other]])
    keep = near >= math.cos(math.radians(crease_deg))
    normals = np.zeros((len(corner), 3))
    for i in range(3):
        normals[:, i] = np.bincount(
            mine[keep], weights=weighted[face[other[keep]], i], minlength=len(corner)
        )
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)

    table = np.concatenate(
        [corner[:, None], np.round(normals, 4), np.round(mesh.uv.reshape(-1, 2), 6)], axis=1
    )
    _, chosen, faces = np.unique(table, axis=0, return_index=True, return_inverse=True)
    return ShadedMesh(
        vertices=mesh.vertices[mesh.faces.reshape(-1)[chosen]],
        normals=normals[chosen],
        uv=mesh.uv.reshape(-1, 2)[chosen],
        faces=faces.reshape(-1, 3),
    )
