// The blocks of data in a page, as src/cospeech/formats/blocks.py packs them.

const KINDS = { u1: Uint8Array, i1: Int8Array, u2: Uint16Array, i2: Int16Array, u4: Uint32Array, i4: Int32Array };
const PER_METRE = 1e5;

export const textOf = (id) => document.getElementById(id).textContent.trim();
export function bytesOf(id) {
  const text = atob(textOf(id));
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

async function unpack(id) {
  const stream = new Blob([bytesOf(id)]).stream().pipeThrough(new DecompressionStream("gzip"));
  const data = new Uint8Array(await new Response(stream).arrayBuffer());
  let at = data.indexOf(10) + 1; // after the line of JSON
  const { about, arrays } = JSON.parse(new TextDecoder().decode(data.subarray(0, at)));
  const block = { ...about };
  for (const [name, kind, count] of arrays) {
    const array = new KINDS[kind](count);
    const size = array.BYTES_PER_ELEMENT;
    const bytes = new Uint8Array(array.buffer); // little-endian, as every machine that browsers run on
    for (let k = 0; k < size; k++) {
      for (let i = 0; i < count; i++) bytes[i * size + k] = data[at + k * count + i];
    }
    block[name] = array;
    at += bytes.length;
  }
  if (at > data.length) throw new Error("ends in the middle");
  return block;
}

const metres = (lengths) => Float32Array.from(lengths, (length) => length / PER_METRE);

/** Add up differences along rows of `length`; whole numbers wrap around as they did when they were packed. */
function sumRows(array, length) {
  for (let i = 0; i < array.length; i++) if (i % length) array[i] += array[i - 1];
  return array;
}

export async function readBody(id) {
  const body = await unpack(id);
  return { ...body, vertices: metres(body.vertices), joints: metres(body.joints) };
}

/** `rotations` (55, 4, T) of 32767, `translation` (3, T) metres, `face` (52, T) of 255 or undefined. */
export async function readMotion(id) {
  const motion = await unpack(id);
  for (const name of ["rotations", "translation", "face"]) if (motion[name]) sumRows(motion[name], motion.frames);
  return { ...motion, translation: metres(motion.translation) };
}
