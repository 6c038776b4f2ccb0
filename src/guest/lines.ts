import { StringDecoder } from 'node:string_decoder';

/** No log has longer lines that mean anything; a hostile one may have no line end at all. */
const LINE_LIMIT = 64 * 1024;

/** Line by line, however large the pieces are; what is too long is cut, and never kept in memory. */
export async function* boundedLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new StringDecoder('utf8');
  let line = '';
  for await (const chunk of chunks) {
    const [rest = '', ...following] = decoder.write(chunk).split('\n');
    line += rest.slice(0, LINE_LIMIT - line.length);
    for (const next of following) {
      yield line;
      line = next.slice(0, LINE_LIMIT);
    }
  }
  if (line !== '') yield line;
}
