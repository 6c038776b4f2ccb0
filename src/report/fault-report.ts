/** `vgpu-guest/fault/1`: a run that has ended before it had an answer, for those who asked for JSON. */
export function faultJson(exitCode: number, error: string, remedy?: string): object {
  return { schema: 'vgpu-guest/fault/1', exitCode, error, ...(remedy === undefined ? {} : { remedy }) };
}
