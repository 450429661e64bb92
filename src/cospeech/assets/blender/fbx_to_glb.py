"""Run by Blender, or by a Python that has `bpy`: blender --background --python fbx_to_glb.py -- IN.fbx OUT.glb

The scene as it rests, without animations. For Blender 3.3 and newer.
"""

import os
import sys

import bpy  # pyright: ignore[reportMissingImports]


def main(source, target):
    bpy.ops.wm.read_factory_settings(use_empty=True)
    for addon in ("io_scene_gltf2", "io_scene_fbx"):
        bpy.ops.preferences.addon_enable(module=addon)
    bpy.ops.import_scene.fbx(filepath=source, use_anim=False)
    folder = os.path.join(os.path.dirname(os.path.realpath(source)), "")
    for image in list(bpy.data.images):
        # A file may name any picture of the machine as its texture: only what is in it or beside it goes along.
        if not (image.packed_file or os.path.realpath(bpy.path.abspath(image.filepath)).startswith(folder)):
            bpy.data.images.remove(image)
    bpy.ops.export_scene.gltf(filepath=target, export_format="GLB", export_animations=False)


arguments = sys.argv[sys.argv.index("--") + 1 :]
main(*arguments)
