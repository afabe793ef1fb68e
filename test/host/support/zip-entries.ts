/** The names and sizes of what a zip file holds, from its central directory (APPNOTE.TXT 4.3.12). */
import { readFile } from 'node:fs/promises';

export interface ZipEntry {
  readonly name: string;
  readonly sizeBytes: number;
}

export async function readZipEntries(file: string): Promise<ZipEntry[]> {
  const bytes = await readFile(file);
  const end = bytes.lastIndexOf(Buffer.from([0x50, 0x4b, 5, 6]));
  if (end < 0) throw new Error(`${file} is not a zip file.`);
  const entries: ZipEntry[] = [];
  let at = bytes.readUInt32LE(end + 16);
  for (let left = bytes.readUInt16LE(end + 10); left > 0; left--) {
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((offset) => bytes.readUInt16LE(at + offset));
    const nameStart = at + 46;
    const nameEnd = nameStart + nameLength!;
    entries.push({ name: bytes.toString('utf8', nameStart, nameEnd), sizeBytes: bytes.readUInt32LE(at + 24) });
    at = nameEnd + extraLength! + commentLength!;
  }
  return entries;
}
