/** A file in the archive of a `.run` package. */
export interface PayloadFile {
  readonly name: string;
  readonly text: string;
  readonly mode: number;
}

const PACKAGED_AT_S = 1_793_899_294;
const BLOCK = 512;

/** A POSIX ustar archive; everything is root's and of one time, so equal packages are equal bytes. */
export function tar(files: readonly PayloadFile[]): Buffer {
  const blocks = files.flatMap(file => {
    const content = Buffer.from(file.text);
    const padding = Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK);
    return [header(file.name, content.length, file.mode), content, padding];
  });
  return Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK)]);
}

function header(name: string, size: number, mode: number): Buffer {
  const bytes = Buffer.alloc(BLOCK);
  const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, '0')}\0`;
  bytes.write(`./${name}`, 0);
  bytes.write(octal(mode, 7), 100);
  bytes.write(octal(0, 7), 108);
  bytes.write(octal(0, 7), 116);
  bytes.write(octal(size, 11), 124);
  bytes.write(octal(PACKAGED_AT_S, 11), 136);
  bytes.write('        ', 148);
  bytes.write('0', 156);
  bytes.write('ustar\x0000', 257);
  bytes.write('root', 265);
  bytes.write('root', 297);
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return bytes;
}

/** The CRC that POSIX `cksum` prints. */
export function posixChecksum(bytes: Uint8Array): number {
  let crc = 0;
  const feed = (byte: number) => {
    crc = ((crc << 8) ^ (CRC_TABLE[((crc >>> 24) ^ byte) & 0xff] ?? 0)) >>> 0;
  };
  for (const byte of bytes) feed(byte);
  for (let length = bytes.length; length > 0; length = Math.floor(length / 256)) feed(length & 0xff);
  return ~crc >>> 0;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index << 24;
  for (let bit = 0; bit < 8; bit++) value = value & 0x80000000 ? (value << 1) ^ 0x04c11db7 : value << 1;
  return value >>> 0;
});
